"""The test vector of RFC 3394 cl. 4.6: 256 bits of key data, wrapped with a key of 256 bits."""

from __future__ import annotations

KEY = bytes(range(32))
DATA = bytes.fromhex("00112233445566778899aabbccddeeff000102030405060708090a0b0c0d0e0f")
WRAPPED = bytes.fromhex("28c9f404c4b810f4cbccb35cfb87f8263f5786e2d80ed326cbc7f0e71a99f43bfb988b9b7a02dd21")
