from netqasm.sdk.external import Socket


def main(app_config=None):
    return {"word": Socket("bob", "alice").recv()}
