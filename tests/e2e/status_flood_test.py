#!/usr/bin/env -S python3 -B
"""Clients of the status server that are too many, too slow or mad: the job goes on, others are
served at once, the process stays as large as it was, and every connection is closed in time."""

import json
import random
import select
import shutil
import socket
import threading
import time

from lockstep_http import (DEADLINE, MOST_KIB, PATHS, SLACK, OneJob, Served, forget_peak, peak_kib,
                           sockets_of)
from lockstep_test import main

SEED = 20240607
ATTEMPTS = 64  # so many curves are shown


class Floods(OneJob):
    def expect_served(self):
        began = time.monotonic()
        self.assertEqual(self.server.get("/status").status, 200)
        self.assertLess(time.monotonic() - began, 2)

    def expect_closed_in_time(self, clients, began):
        """The server closes each of them. Nothing may be left to read."""
        watched = {client.fileno(): client for client in clients}
        poller = select.poll()
        for number in watched:
            poller.register(number, select.POLLIN)
        while watched:
            self.assertLess(time.monotonic() - began, DEADLINE + SLACK, f"{len(watched)} are open")
            for number, _ in poller.poll(200):
                try:
                    over = not watched[number].recv(1 << 16)
                except OSError:
                    over = True
                if over:
                    poller.unregister(number)
                    watched.pop(number).close()

    def test_200_idle_clients(self):
        began = time.monotonic()
        clients = []
        for _ in range(200):
            clients.append(self.server.connect())
            if len(clients) % 20 == 0:
                self.expect_served()
        self.expect_served()
        self.assertLess(len(sockets_of(self.pid)) - self.idle_sockets, 40)
        self.expect_closed_in_time(clients, began)

    def test_clients_that_send_a_byte_at_a_time(self):
        began = time.monotonic()
        clients = [self.server.connect() for _ in range(30)]
        for byte in self.server.request("/status", "X: " + "y" * 200)[:-1]:
            for client in clients:
                try:
                    client.sendall(bytes([byte]))
                except OSError:
                    pass
            self.expect_served()
            if time.monotonic() - began > DEADLINE + 1:
                break
            time.sleep(0.1)
        self.expect_closed_in_time(clients, began)

    def test_clients_that_read_nothing(self):
        clients = []
        for at in range(60):
            client = socket.socket()
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)  # before it connects
            client.connect(("127.0.0.1", self.server.port))
            client.sendall(self.server.request(("/", "/api/curves", "/status")[at % 3]))
            clients.append(client)
            self.expect_served()
        self.until_closed(DEADLINE + SLACK)
        for client in clients:
            client.close()

    def test_streams_that_nobody_reads_leave_room_for_others(self):
        clients = []
        for _ in range(60):
            client = self.server.connect()
            client.sendall(self.server.request("/events"))
            clients.append(client)
            self.expect_served()
        refused = 0
        for client in clients:
            refused += client.recv(12) == b"HTTP/1.1 503"
        self.assertEqual(refused, 60 - 16)
        self.expect_served()
        for client in clients:
            client.close()
        self.until_closed(2)
        self.assertEqual(len(self.server.events(1)), 1)  # there is room again

    def test_clients_that_go_away_at_once_or_in_the_middle(self):
        for at in range(500):
            client = self.server.connect()
            client.sendall(self.server.request(PATHS[at % len(PATHS)])[:at % 80])
            if at % 2:  # RST
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            client.close()
        self.expect_served()
        self.until_closed(2)

    def test_random_garbage(self):
        chance = random.Random(SEED)
        good = self.server.request("/status", "Accept: */*", "User-Agent: x")
        for _ in range(400):
            kind = chance.randrange(4)
            if kind == 0:
                raw = chance.randbytes(chance.randrange(1, 3000))
            elif kind == 1:  # some bytes changed
                raw = bytearray(good)
                for _ in range(chance.randrange(1, 6)):
                    raw[chance.randrange(len(raw))] = chance.randrange(256)
                raw = bytes(raw)
            elif kind == 2:  # a piece twice
                a, b = sorted(chance.randrange(len(good)) for _ in range(2))
                raw = good[:b] + good[a:]
            else:
                raw = good[:-2] + chance.randbytes(40) + b": " + chance.randbytes(99) + b"\r\n\r\n"
            with self.server.connect() as client:
                client.sendall(raw)
                client.shutdown(socket.SHUT_WR)  # it has no more to say: no deadline to wait for
                try:
                    while client.recv(1 << 16):
                        pass
                except OSError:
                    pass
        self.expect_served()


class Large(Served):
    def test_many_who_read_nothing_of_a_large_answer_are_dropped_and_do_not_multiply_it(self):
        """Larger than what the system keeps for a socket: else it is sent at once, read or not."""
        site = self.site()
        site.trained(10)
        first = site.store.attempt(1)
        points = [{"event": "interval", "iteration": i, "loss": 1 / (i + 1), "accuracy": i / 7,
                   "gradient_norm": i / 11, "learning_rate": i / 13, "samples_per_second": i / 17}
                  for i in range(11, 2000)]
        curve = "".join(json.dumps(point) + "\n" for point in points)
        for number in range(1, ATTEMPTS + 1):
            if number > 1:
                shutil.copytree(first, site.store.attempt(number))
            (site.store.attempt(number) / "metrics.jsonl").write_text(curve)
        process, server = self.ui(site.store.path)
        large = len(server.get("/api/curves").body)
        self.assertGreater(large, 1 << 20)
        forget_peak(process.pid)
        before, began, clients = peak_kib(process.pid), time.monotonic(), []
        for _ in range(40):
            client = socket.socket()
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            client.connect(("127.0.0.1", server.port))
            client.sendall(server.request("/api/curves"))
            clients.append(client)
        time.sleep(1)
        self.assertEqual(server.get("/status").status, 503)  # who is being answered keeps the place
        while server.get("/status").status != 200:
            self.assertLess(time.monotonic() - began, DEADLINE + SLACK, "they were not dropped")
            time.sleep(0.1)
        for client in clients:
            client.close()
        self.assertLess((peak_kib(process.pid) - before) << 10, 4 * large + (16 << 20))


class Ending(Served):
    def test_a_flood_of_connections_does_not_hold_up_the_end(self):
        site = self.site()
        job, server = self.serve(site, ranks=1)
        flooding = threading.Event()

        def flood():
            while not flooding.is_set():
                try:
                    with socket.create_connection(("127.0.0.1", server.port), 1) as client:
                        client.sendall(server.request("/status"))
                except OSError:
                    pass

        threads = [threading.Thread(target=flood) for _ in range(8)]
        for thread in threads:
            thread.start()
        self.addCleanup(flooding.set)
        time.sleep(1)
        began = time.monotonic()
        try:
            self.stop(site, job)
        finally:
            flooding.set()
            for thread in threads:
                thread.join()
        self.assertLess(time.monotonic() - began, 15)


if __name__ == "__main__":
    main()
