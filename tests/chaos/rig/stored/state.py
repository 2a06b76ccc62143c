"""The state on disk: LMDB's data format 1 on 64-bit little-endian machines (mdb.c: MDB_page, MDB_node, MDB_db,
MDB_meta).

Two root pages, of which the one with the higher transaction counts; from there the tree of the tables' names leads to
those of `records` and `node`, and another one is the list of free pages. What is live:

- of a page of a tree its head (number, kind, the bounds of its room; not the unused field `pad`), the places of its
  nodes, and the nodes; not the room between, nor the first key of a branch, which nobody reads;
- of a value that has pages of its own the head of the first and the value, not what is behind it;
- of the root page that counts what leads on: kind, mark, version, page size, the roots and flags of both trees, the
  last page, the transaction. Not what LMDB tells of but never goes by: counts and depths, address and size of the map;
- of the list of free pages as of any tree, but not its keys (a transaction that is another one and still in order
  changes nothing for who starts: store_free.h), not the size of a list in pages of its own, and of a list its count
  and as many pages as that says, not the room behind;
- not live: all other pages, the older root page, lock.mdb.
"""

from typing import NamedTuple

from rig.stored.piece import Piece, u16, u32, u64

ROOTS = 2
NONE = (1 << 64) - 1
PAGE_HEAD, NODE_HEAD = 16, 8
BRANCH, LEAF, OVERFLOW, META = 1, 2, 4, 8
BIG, TABLE = 1, 2
MAGIC = 0xBEEFC0DE
PAGE_SIZE_AT, FREE_AT, MAIN_AT, LAST_PAGE_AT, TXN_AT = 40, 40, 88, 136, 144
TREE_FLAGS_AT, TREE_ROOT_AT = 4, 40  # in MDB_db
BIG_VALUE = "a value in pages of its own"
APPENDED_AT, META_RECORD = 52, b"meta"  # store_meta.h


class Root(NamedTuple):
    page: int
    txn: int
    main: int
    free: int


class State:
    """A whole database, read at once. Of a node that runs it may be of two moments: is_of_one_moment()."""

    def __init__(self, path):
        self.path = path
        self.data = path.read_bytes()
        self.page_size = u32(self.data, PAGE_SIZE_AT)
        self.root = self.newest_root()
        self.appended = 0  # the last entry of the log that this node has noted as its own (design D12)

    def newest_root(self, data=None):
        """None where LMDB would take none of them. It wants both to be root pages."""
        data = self.data if data is None else data
        found = []
        for page in range(ROOTS):
            at = page * self.page_size
            if not u16(data, at + 10) & META or u32(data, at + 16) != MAGIC or u32(data, at + 20) != 1:
                return None
            found.append(Root(page, u64(data, at + TXN_AT), u64(data, at + MAIN_AT + TREE_ROOT_AT),
                              u64(data, at + FREE_AT + TREE_ROOT_AT)))
        return max(found, key=lambda r: r.txn)  # the first where both are equal, as mdb_env_pick_meta does

    def is_of_one_moment(self):
        """LMDB overwrites no page of the last transaction, nor of the one before."""
        with self.path.open("rb") as f:
            return self.newest_root(f.read(ROOTS * self.page_size)).txn <= self.root.txn + 1

    # ---- pieces ----

    def piece(self, at, length, what):
        return Piece(self.path, at, length, what)

    def roots(self):
        at = self.root.page * self.page_size
        rows = [("its kind", 10, 2), ("mark and version", 16, 8), ("the page size", PAGE_SIZE_AT, 4)]
        for what, tree in (("the list of free pages", FREE_AT), ("the tables", MAIN_AT)):
            rows += [(what, tree + TREE_FLAGS_AT, 2), (what, tree + TREE_ROOT_AT, 8)]
        rows += [("the last page", LAST_PAGE_AT, 8), ("the transaction", TXN_AT, 8)]
        return [self.piece(at + begin, length, what) for what, begin, length in rows]

    def tables(self):
        return list(self.walk(self.root.main))

    def free_list(self):
        return list(self.walk(self.root.free, is_free_list=True))

    def walk(self, number, is_free_list=False):
        if number == NONE:
            return
        base, data = number * self.page_size, self.data
        kind, count = u16(data, base + 10), (u16(data, base + 12) - PAGE_HEAD) // 2
        yield self.piece(base, 8, "a page's head")
        yield self.piece(base + 10, 6, "a page's head")
        yield self.piece(base + PAGE_HEAD, 2 * count, "the places of nodes")
        for i in range(count):
            at = base + u16(data, base + PAGE_HEAD + 2 * i)
            yield from self.free_node(at, kind) if is_free_list else self.node(at, kind, i)

    def node(self, at, kind, i):
        data = self.data
        flags, key_size = u16(data, at + 4), u16(data, at + 6)
        value = at + NODE_HEAD + key_size
        if kind & BRANCH:
            yield self.piece(at, 6 if i == 0 else NODE_HEAD, "a branch")
            if i > 0 and key_size:
                yield self.piece(at + NODE_HEAD, key_size, "a branch's key")
            yield from self.walk(u16(data, at) | u16(data, at + 2) << 16 | flags << 32)
            return
        yield self.piece(at, NODE_HEAD, "a node's head")
        yield self.piece(at + NODE_HEAD, key_size, "a key")
        size = u32(data, at)
        if flags & BIG:
            yield self.piece(value, 8, "a node's head")
            yield from self.big(u64(data, value), size)
        elif flags & TABLE:
            yield self.piece(value + TREE_FLAGS_AT, 2, "a table")
            yield self.piece(value + TREE_ROOT_AT, 8, "a table")
            yield from self.walk(u64(data, value + TREE_ROOT_AT))
        else:
            if data[at + NODE_HEAD:value] == META_RECORD:
                self.appended = u64(data, value + APPENDED_AT)
            yield self.piece(value, size, "a value")

    def free_node(self, at, kind):
        data = self.data
        flags, value = u16(data, at + 4), at + NODE_HEAD + u16(data, at + 6)
        if kind & BRANCH:
            yield self.piece(at, NODE_HEAD, "a branch")
            yield from self.walk(u16(data, at) | u16(data, at + 2) << 16 | flags << 32, is_free_list=True)
        elif flags & BIG:
            yield self.piece(at + 4, 4, "a node's head")
            yield self.piece(value, 8, "a node's head")
            base = u64(data, value) * self.page_size
            yield from self.big_head(base)
            yield self.piece(base + PAGE_HEAD, 8 + 8 * u64(data, base + PAGE_HEAD), "a list of free pages")
        else:
            yield self.piece(at, NODE_HEAD, "a node's head")
            yield self.piece(value, 8 + 8 * u64(data, value), "a list of free pages")

    def big_head(self, base):
        yield self.piece(base, 8, "the head of a value's pages")
        yield self.piece(base + 10, 6, "the head of a value's pages")

    def big(self, number, size):
        base = number * self.page_size
        yield from self.big_head(base)
        yield self.piece(base + PAGE_HEAD, size, BIG_VALUE)
