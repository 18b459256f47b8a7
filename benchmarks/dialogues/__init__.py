"""Helpdesk from text in to a served answer, and from the log of it to a better version."""
