"""The programs of the role `policy`: who may send as whom (``milter``), and whose mailbox can take mail (``recipients``).

They are part of the image, so that a change of settings is never a change of program. Only Python's standard library, and
libmilter in ``milter`` alone: every decision is made in modules that open no socket and can be tested without one.
"""
