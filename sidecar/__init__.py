"""What runs beside a job on a node: it owns the processes, keeps their logs and answers the submitter.

Ships alone: it imports itself, the standard library and, where present, psutil and watchdog. Python 3.9 and newer.
"""
