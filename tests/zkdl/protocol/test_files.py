import errno
import os
import stat

import pytest

from zkdl.protocol.files import write_whole


def test_writes_replaces_and_leaves_nothing_else(tmp_path):
    path = tmp_path / "file"
    write_whole(path, b"one")
    write_whole(path, b"two")
    assert path.read_bytes() == b"two"
    assert os.listdir(tmp_path) == ["file"]


def test_mode_holds_from_the_start(tmp_path, monkeypatch):
    seen = []
    original = os.fdopen

    def spy(descriptor, *args):
        seen.append(stat.S_IMODE(os.fstat(descriptor).st_mode))
        return original(descriptor, *args)

    monkeypatch.setattr(os, "fdopen", spy)
    write_whole(tmp_path / "secret", b"", mode=0o600)
    assert seen == [0o600]
    assert stat.S_IMODE((tmp_path / "secret").stat().st_mode) == 0o600


def test_failure_keeps_the_old_content_and_names_the_file(tmp_path, monkeypatch):
    path = tmp_path / "file"
    write_whole(path, b"old")

    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left") as caught:
        write_whole(path, b"new")
    assert caught.value.filename == str(path)
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]


def test_links_are_followed_and_directories_refused(tmp_path):
    (tmp_path / "real").write_bytes(b"old")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    write_whole(tmp_path / "link", b"new")
    assert (tmp_path / "real").read_bytes() == b"new"
    assert (tmp_path / "link").is_symlink()
    with pytest.raises(IsADirectoryError):
        write_whole(tmp_path, b"")


def test_devices_are_written_to_not_replaced():
    write_whole(os.devnull, b"gone")
    assert stat.S_ISCHR(os.stat(os.devnull).st_mode)


def test_missing_folder_names_the_wanted_file(tmp_path):
    with pytest.raises(FileNotFoundError) as caught:
        write_whole(tmp_path / "nothing" / "file", b"")
    assert caught.value.filename == str(tmp_path / "nothing" / "file")
