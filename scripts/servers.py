"""PostgreSQL, Redis, RabbitMQ and Chromium for the tests: finds them, installs them where that can be done, starts them.

What answers already is used and left alone. What is started here listens on 127.0.0.1 only, keeps its data in a
folder of its own, and goes on running for the next test run.
"""

import os
import pathlib
import shutil
import socket
import struct
import subprocess
import sys
import time
import urllib.parse

STATE = pathlib.Path(os.environ.get("BAODAN_TEST_STATE", f"/var/tmp/baodan-test-{os.getuid()}"))
START_SECONDS = 90


class Unavailable(Exception):
    """A server that cannot be had; the text says what to do."""


def say(text):
    print(f"servers: {text}", file=sys.stderr, flush=True)


def is_root():
    return os.getuid() == 0


# --- who answers -----------------------------------------------------------------------------------------------


def ask(url, default_port, question, is_answer):
    """Whether somebody at `url` answers `question` as the right server does."""
    parts = urllib.parse.urlsplit(url)
    try:
        with socket.create_connection((parts.hostname, parts.port or default_port), timeout=3) as sock:
            sock.sendall(question)
            return is_answer(sock.recv(64))
    except OSError:
        return False


def postgres_answers(url):
    parts = urllib.parse.urlsplit(url)
    user = (parts.username or "postgres").encode()
    body = struct.pack("!i", 196608) + b"user\0" + user + b"\0database\0postgres\0\0"
    hello = struct.pack("!i", len(body) + 4) + body
    # "R" with code 0: let in without a password. With one in the URL any demand for it will do.
    wanted = b"R\0\0\0" if parts.password else b"R\0\0\0\x08\0\0\0\0"
    return ask(url, 5432, hello, lambda answer: answer.startswith(wanted))


def redis_answers(url):
    password = urllib.parse.urlsplit(url).password
    question = f"AUTH {password}\r\nPING\r\n" if password else "PING\r\n"
    return ask(url, 6379, question.encode(), lambda answer: answer.startswith((b"+PONG", b"+OK")))


def rabbit_answers(url):
    # The server begins the conversation about a connection (class 10, method 10) on channel 0.
    return ask(url, 5672, b"AMQP\0\0\x09\x01", lambda answer: answer[:3] == b"\1\0\0" and answer[7:11] == b"\0\x0a\0\x0a")


def is_taken(port):
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0


# --- programs --------------------------------------------------------------------------------------------------


def find(names, folders=()):
    """The newest of the programs, in PATH or in folders with wildcards."""
    found = [path for name in names if (path := shutil.which(name))]
    for pattern in folders:
        for name in names:
            # Version folders sort as numbers: 15 after 9.6.
            paths = pathlib.Path("/").glob(f"{pattern.lstrip('/')}/{name}")
            found += sorted(map(str, paths), key=lambda p: [int(n) if n.isdigit() else 0 for n in p.split("/")], reverse=True)
    return found[0] if found else None


def apt_install(packages):
    say(f"installing {' '.join(packages)}")
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["apt-get", "update", "-q"], ["apt-get", "install", "-y", "-q", "--no-install-recommends", *packages]):
        subprocess.run(command, env=env, stdout=sys.stderr, check=True)


def folder(name, owner=None):
    """A folder of STATE, which nobody else may have made."""
    STATE.mkdir(mode=0o711, parents=True, exist_ok=True)
    if STATE.stat().st_uid != os.getuid():
        raise Unavailable(f"{STATE} belongs to somebody else; set BAODAN_TEST_STATE to a folder of yours")
    path = STATE / name
    path.mkdir(mode=0o700, exist_ok=True)
    if owner:
        shutil.chown(path, owner, owner)
    return path


def run(command, **options):
    """Runs a command to its end; its output is shown only if it fails."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options)
    if done.returncode != 0:
        raise Unavailable(f"{' '.join(map(str, command))} failed:\n{done.stdout}")


# --- the three servers -----------------------------------------------------------------------------------------


class Postgres:
    name, variable, port, packages, brew = "PostgreSQL", "BAODAN_TEST_PG_URL", 5432, ["postgresql"], "postgresql@17"
    answers = staticmethod(postgres_answers)

    @staticmethod
    def url(port):
        return f"postgres://postgres@127.0.0.1:{port}"

    @staticmethod
    def program():
        return find(["pg_ctl"], ["/usr/lib/postgresql/*/bin", "/opt/homebrew/opt/postgresql*/bin"])

    @staticmethod
    def start(program, port):
        # PostgreSQL refuses to run as root; its package brings a user.
        owner, become = ("postgres", ["runuser", "-u", "postgres", "--"]) if is_root() else (None, [])
        home = folder("postgres", owner)
        data = home / "data"
        if not subprocess.run([*become, "test", "-f", str(data / "PG_VERSION")], check=False).returncode == 0:
            initdb = str(pathlib.Path(program).with_name("initdb"))
            run([*become, initdb, "-D", str(data), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "-N"], cwd="/")
        # What the tests store need not survive a power cut.
        options = (
            f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={home} -c max_connections=200"
            " -c fsync=off -c full_page_writes=off -c synchronous_commit=off"
        )
        log = str(home / "log")
        command = [*become, program, "-D", str(data), "-l", log, "-o", options, "-w", "-t", str(START_SECONDS), "start"]
        run(command, cwd="/", stdin=subprocess.DEVNULL)


class Redis:
    name, variable, port, packages, brew = "Redis", "BAODAN_TEST_REDIS_URL", 6379, ["redis-server"], "redis"
    answers = staticmethod(redis_answers)

    @staticmethod
    def url(port):
        return f"redis://127.0.0.1:{port}/0"

    @staticmethod
    def program():
        return find(["redis-server", "valkey-server"])

    @staticmethod
    def start(program, port):
        home = folder("redis")
        settings = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        run([program, *settings, "--daemonize", "yes", "--dir", str(home), "--logfile", str(home / "log")])


class Rabbit:
    name, variable, port, packages, brew = "RabbitMQ", "BAODAN_TEST_AMQP_URL", 5672, ["rabbitmq-server"], "rabbitmq"
    answers = staticmethod(rabbit_answers)

    @staticmethod
    def url(port):
        return f"amqp://guest:guest@127.0.0.1:{port}/%2f"

    @staticmethod
    def program():
        # Debian's wrapper in /usr/sbin insists on the system's user and data; the program behind it does not.
        direct = "/usr/lib/rabbitmq/bin/rabbitmq-server"
        return direct if os.path.exists(direct) else find(["rabbitmq-server"])

    @staticmethod
    def start(program, port):
        home = folder("rabbitmq")
        (home / "rabbitmq.conf").write_text(f"listeners.tcp.local = 127.0.0.1:{port}\n")
        (home / "enabled_plugins").write_text("[].\n")
        env = {
            **os.environ,
            "HOME": str(home),
            "RABBITMQ_NODENAME": "baodan-test@localhost",
            "RABBITMQ_DIST_PORT": str(port + 20000),
            "RABBITMQ_CONFIG_FILE": str(home / "rabbitmq"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(home / "enabled_plugins"),
            "RABBITMQ_MNESIA_BASE": str(home / "mnesia"),
            "RABBITMQ_LOG_BASE": str(home / "log"),
            "RABBITMQ_PID_FILE": str(home / "pid"),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
        }
        with open(home / "output", "wb") as output:
            subprocess.Popen([program], env=env, cwd=home, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True)


SERVERS = [Postgres, Redis, Rabbit]


def how_to(server):
    """What to do where this script may not do it."""
    if shutil.which("apt-get"):
        return f"run as root, or: sudo apt-get install -y {' '.join(server.packages)}"
    if shutil.which("brew"):
        return f"run: brew install {server.brew}"
    return f"install {server.name} (package {server.packages[0]}), or set {server.variable} to one that runs"


def ensure(server):
    """The URL of a server that answers."""
    named = os.environ.get(server.variable)
    if named:
        if server.answers(named):
            return named
        raise Unavailable(f"{server.variable} is set, but no {server.name} that lets us in answers there; start it or unset the variable")
    # The usual port, or another where something else has that one (a server with a password, say).
    urls = {port: server.url(port) for port in (server.port, server.port + 10000)}
    for url in urls.values():
        if server.answers(url):
            return url
    program = server.program()
    if not program:
        if not (is_root() and shutil.which("apt-get")):
            raise Unavailable(f"{server.name} is missing: {how_to(server)}")
        apt_install(server.packages)
        program = server.program()
        # Installing may have started it.
        if server.answers(urls[server.port]):
            return urls[server.port]
    port = next((port for port in urls if not is_taken(port)), None)
    if not (program and port):
        raise Unavailable(f"{server.name} cannot be started on any of the ports {list(urls)}: something else listens there")
    say(f"starting {server.name} on 127.0.0.1:{port}, data in {STATE}")
    server.start(program, port)
    deadline = time.monotonic() + START_SECONDS
    while not server.answers(urls[port]):
        if time.monotonic() > deadline:
            raise Unavailable(f"{server.name} does not answer on port {port} after {START_SECONDS} s; see {STATE}")
        time.sleep(0.1)
    return urls[port]


def chromium():
    """The path of a Chromium, in which the pages are tested."""
    variable = "BAODAN_TEST_CHROMIUM"
    program = os.environ.get(variable) or find(["chromium", "chromium-browser", "google-chrome"])
    if not program and is_root() and shutil.which("apt-get"):
        apt_install(["chromium"])
        program = find(["chromium"])
    if not program:
        raise Unavailable(f"Chromium is missing: install the package chromium, or set {variable} to its path")
    return {variable: program}


def ensure_all():
    """Variable → URL of all servers, and the path of a browser; the failures, one sentence each."""
    urls, failures = {}, []
    try:
        urls |= chromium()
    except (Unavailable, subprocess.CalledProcessError, OSError) as problem:
        failures.append(f"Chromium: {problem}")
    for server in SERVERS:
        try:
            urls[server.variable] = ensure(server)
            say(f"{server.name}: {urlsafe(urls[server.variable])}")
        except (Unavailable, subprocess.CalledProcessError, OSError) as problem:
            failures.append(f"{server.name}: {problem}")
    return urls, failures


def urlsafe(url):
    """The URL without its password."""
    parts = urllib.parse.urlsplit(url)
    return url.replace(f":{parts.password}@", ":…@") if parts.password else url


def main():
    urls, failures = ensure_all()
    for variable, url in urls.items():
        print(f"export {variable}='{url}'")
    for failure in failures:
        say(failure)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
