"""Child processes for untrusted files: a file may kill or hang its child, and the next one is still read.

parent.py    starts, watches and restarts a child; sends requests, brings replies
child.py     serves requests within a limit of memory; shared by all programs that run as a child
"""
