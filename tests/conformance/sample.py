"""Tests that end in every way there is, for the tests of the runner; no part of any suite."""

import asyncio
import os
import threading
import unittest


class Sample(unittest.TestCase):
    def test_1_passes(self):
        """Nothing to do."""

    def test_2_fails(self):
        self.fail("on purpose")

    def test_3_fails_in_a_part(self):
        with self.subTest(part=1):
            self.fail("on purpose")
        with self.subTest(part=2):
            pass

    def test_4_hangs(self):
        threading.Lock().acquire()
        threading.Event().wait()

    def test_5_ends_the_process(self):
        os._exit(3)

    @unittest.skip("on purpose")
    def test_6_is_skipped(self):
        """Never run."""

    def test_7_passes_on_a_loop_after_all_that(self):
        asyncio.new_event_loop().close()
