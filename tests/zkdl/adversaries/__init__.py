"""Dishonest provers of zkdl: cases, witnesses, provers, files, guards."""
