import random

from netqasm.sdk.external import Socket


def main(app_config=None):
    """Sends two words, of which the other takes one."""
    word, socket = str(random.random()), Socket("alice", "bob")
    socket.send(word)
    socket.send("too late")
    return {"word": word}
