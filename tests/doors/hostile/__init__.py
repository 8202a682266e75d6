"""Hostile requests to a whole door over real HTTP, all families of routes: each is told what is
wrong by a 4xx, makes nothing, loses nothing, and shows nothing of another caller.

Elsewhere: URLs in fetching/ and test_hostile_urls.py; names of vehicles and files in
uploads/test_vehicles.py, jobs/test_intake.py and uploads/test_received.py; parts of uploads in
routers/test_uploads.py; slow and endless requests in test_connections.py; keys and tokens in
callers/; messages in queue/; remove.bg's codes in routers/test_removebg.py.
"""
