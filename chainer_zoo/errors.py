"""The error that people see."""


class UserError(ValueError):
    """Something that whoever runs the program can fix.

    The message is one line that says what was wrong, what was expected and what to do. The
    command line prints it without a traceback and exits with status 2.
    """
