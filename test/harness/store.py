"""The records of a store, as its file holds them: a line is a part of a block, which is a batch's compressed body."""
import ctypes
import sqlite3

ZSTD = ctypes.CDLL('libzstd.so.1')
ZSTD.ZSTD_decompress.restype = ctypes.c_size_t
ZSTD.ZSTD_isError.argtypes = [ctypes.c_size_t]


def unpack(body, length):
    out = ctypes.create_string_buffer(length)
    size = ZSTD.ZSTD_decompress(out, ctypes.c_size_t(length), body, ctypes.c_size_t(len(body)))
    if ZSTD.ZSTD_isError(size) or size != length:
        raise ValueError('a block is broken')
    return out.raw


def records(path):
    """[(sensor, epoch, lane number, sequence, line)], in the order of arrival."""
    found = []
    store = sqlite3.connect(f'file:{path}?mode=ro', uri=True)
    try:
        store.execute('BEGIN')
        for part, in store.execute('SELECT id FROM partitions WHERE id > 0 AND doomed = 0 ORDER BY id').fetchall():
            blocks = {id: unpack(body, length) for id, length, body in
                      store.execute(f'SELECT id, lines_len, body FROM blocks_{part}')}
            for sensor, epoch, lane, sequence, block, at, length in store.execute(
                    f'SELECT s.name, l.epoch, l.lane, r.seq, r.block, r.at, r.len FROM records_{part} r '
                    'JOIN lanes l ON l.id = r.lane_id JOIN sensors s ON s.id = l.sensor_id ORDER BY r.id'):
                found.append((sensor, epoch, lane, sequence, blocks[block][at:at + length].decode()))
        return found
    finally:
        store.close()
