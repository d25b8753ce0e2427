"""Serve trained models to a browser: the page, and the server behind it, which trusts no client.

server.py      the application: addresses, and what goes back, a result or one line
safety.py      who may ask: hosts and origins; headers of every answer
uploads.py     bodies of requests, within bounds of size and time, in a folder that is removed
work.py        one thing at a time, in the order in which it was asked for
recordings.py  what a model makes of a recording, as numbers for drawing
pieces.py      pieces of music, and MIDI files, as numbers for drawing and as files
live.py        listening through a WebSocket
grids.py       arrays as JSON
page/          the page: plain HTML, CSS and JavaScript, without assets from elsewhere
"""
