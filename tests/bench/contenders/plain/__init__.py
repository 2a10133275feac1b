"""As a FastStream tutorial writes it: a handler, an SQLModel session and a commit per message, publish in the handler.

No outbox and no inbox: what is lost between commit and publish is lost, what comes twice is done twice.
"""
