"""Histories that Hypothesis makes up, sent over HTTP to every backend at once and to a model of the API."""
