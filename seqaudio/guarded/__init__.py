"""Child processes for untrusted files: a file may crash or hang the child, and the next file is still read.

parent.py    starts, watches and restarts a child; sends requests and receives replies
child.py     answers requests under a memory limit; shared by all programs that run as a child
"""
