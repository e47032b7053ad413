"""`make demo`: a server and a client on this machine, each in namespaces of its own, and the main job from end to end."""
