"""Hostile requests to a whole door over real HTTP, all families of routes: each is told what is
wrong by a 4xx, makes nothing, loses nothing, and shows nothing of another caller.

Elsewhere: URLs in test_addresses.py, test_fetch.py and test_hostile_urls.py; names of vehicles and
files in test_vehicles.py, test_intake.py and test_received.py; parts of uploads in test_uploads.py;
slow and endless requests in test_connections.py; keys and tokens in test_stored_callers.py;
messages in test_messages.py and test_consumer.py; remove.bg's codes in routers/test_removebg.py.
"""
