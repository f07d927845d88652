"""Conversations: a small FastAPI service, kept in the shape a team would use.

`app.py` puts the parts together; every other file is one part. Nothing here knows which
server or event loop runs it.
"""
