"""Tables as text, CSV and Markdown."""

import csv
import io


def render(header, rows, style, numbers=()):
    """Return a table.

    Args:
        header (list of str): the columns' names.
        rows (list of lists): their values; str() of each is shown.
        style (str): ``text``, ``csv`` or ``markdown``.
        numbers (collection of str): columns that are set to the right, in text and Markdown.

    Returns:
        str: lines without a last line feed.
    """
    rows = [[str(value) for value in row] for row in rows]
    if style == 'csv':
        text = io.StringIO()
        csv.writer(text, lineterminator='\n').writerows([header] + rows)
        return text.getvalue().rstrip('\n')
    if style == 'markdown':
        rule = ['---:' if name in numbers else '---' for name in header]
        return '\n'.join(
            '| {} |'.format(' | '.join(value.replace('|', '\\|') for value in row))
            for row in [header, rule] + rows
        )
    widths = [max(len(row[i]) for row in [header] + rows) for i in range(len(header))]
    return '\n'.join(
        '  '.join(
            value.rjust(width) if name in numbers else value.ljust(width)
            for value, width, name in zip(row, widths, header)
        ).rstrip()
        for row in [header] + rows
    )
