"""Any result as tables: for parts that the report knows nothing about."""

from dpkit._page import facts, number_text, table, tag

_MOST_ROWS, _MOST_COLUMNS = 200, 12


def shown(value, most=160):
    """Return a value of JSON as text."""
    if isinstance(value, str):
        text = value
    elif isinstance(value, (int, float)):
        text = number_text(value)
    elif isinstance(value, list) and all(isinstance(v, (int, float)) for v in value):
        text = ", ".join(number_text(v, 3) for v in value)
    else:
        text = "–" if value is None else str(value)
    return text if len(text) <= most else f"{text[:most]} …"


def rows_table(rows, caption, columns=None):
    """Return a table of dictionaries, their keys as columns."""
    keys = columns or list(dict.fromkeys(key for row in rows for key in row))[:_MOST_COLUMNS]
    words = [k for k, key in enumerate(keys) if k and any(isinstance(row.get(key), str) for row in rows)]
    cells = [[shown(row.get(key)) if key in row else "" for key in keys] for row in rows[:_MOST_ROWS]]
    return spaced(table([key.replace("_", " ") for key in keys], cells, caption, words=words))


def spaced(content):
    """Return content with room above it."""
    return tag("div", content, class_="spaced")


def anything(result):
    """Yield the single values of a result as facts and its lists of rows as tables."""
    hidden = {"benchmark", "machine", "versions", "commit", "changed", "python", "processor"}
    single = [
        (key.replace("_", " "), shown(value))
        for key, value in result.items()
        if key not in hidden and not (isinstance(value, (list, dict)) and value)
    ]
    if single:
        yield facts(single)
    for key, value in result.items():
        if key in hidden or not value:
            continue
        if isinstance(value, list) and all(isinstance(row, dict) for row in value):
            yield rows_table(value, key.replace("_", " "))
        elif isinstance(value, dict):
            pairs = [[name, shown(inner)] for name, inner in value.items()]
            yield spaced(table(["name", "value"], pairs, key.replace("_", " "), words=(1,)))
