import threading


def main(app_config=None):
    threading.Event().wait(30)
