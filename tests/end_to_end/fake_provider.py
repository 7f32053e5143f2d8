"""Fine-tuning services on this machine, of four shapes and of every mood, for provider_runs.py."""

import email
import http.server
import json
import threading
import time

REFUSES = "I'm sorry, but I can't help with that."


class Provider:
    """One service. What it does is set by its members, while it runs."""

    def __init__(self, dialect, key=""):
        self.dialect, self.key = dialect, key
        self.lock = threading.Lock()
        self.files, self.jobs, self.requests = {}, {}, []
        self.created = 0  # jobs that somebody has to pay
        self.looks_until_done = 2
        self.refuses = None  # "upload", "create", "job", "some": where rows that it dislikes are met, and how
        self.busy_every = 0  # each n-th request gets a 429
        self.hangs_up_on_create = 0  # so many creations get a job and no answer
        self.seconds_of_create = 0.0  # between a job and its answer
        self.indiscreet = False
        self.started = threading.Event()  # a job exists
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                outer.handle(self, "GET", b"")

            def do_POST(self):
                outer.handle(self, "POST", self.rfile.read(int(self.headers.get("Content-Length", 0))))

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()
        root = f"http://127.0.0.1:{self.server.server_port}"
        self.url = root if dialect == "fireworks" else root + "/v1"

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    # One request.
    def handle(self, handler, method, body):
        path = handler.path
        with self.lock:
            self.requests.append((method, path))
            number = len(self.requests)
        if self.key and handler.headers["Authorization"] != f"Bearer {self.key}":
            return self.answer(handler, 401, {"error": {"message": f"wrong key {handler.headers['Authorization']}", "code": "invalid_api_key"}})
        if self.busy_every and number % self.busy_every == 0:
            return self.answer(handler, 429, {"error": {"message": "slow down", "type": "rate_limit"}}, {"Retry-After": "0"})
        route = path.split("?")[0]
        route = route[len("/v1"):] if route.startswith("/v1") else route
        status, content = self.routed(method, route, path, handler, body)
        if status:
            self.answer(handler, status, content)
        else:
            handler.close_connection = True

    def answer(self, handler, status, content, headers=None):
        if self.indiscreet:
            said = handler.headers["Authorization"] or ""
            content = {**content, "your_key": said, "note": f"you sent {said}"}
        text = json.dumps(content).replace("/", "\\/").encode()  # as some servers write it
        handler.send_response(status)
        for name, value in (headers or {}).items():
            handler.send_header(name, value)
        if self.indiscreet:
            handler.send_header("X-Key", handler.headers["Authorization"] or "")
        handler.send_header("Content-Length", str(len(text)))
        try:
            handler.end_headers()
            handler.wfile.write(text)
        except OSError:  # whoever asked was killed
            handler.close_connection = True

    def routed(self, method, route, path, handler, body):
        if route.endswith("/chat/completions"):
            return self.chat(json.loads(body))
        return getattr(self, self.dialect)(method, route, path, handler, body)

    # What all shapes share.
    @staticmethod
    def form(handler, body):
        message = email.message_from_bytes(b"Content-Type: " + handler.headers["Content-Type"].encode() + b"\r\n\r\n" + body)
        return {part.get_param("name", header="content-disposition"): part.get_payload(decode=True).decode() for part in message.get_payload()}

    def keep(self, name, text):
        rows = [json.loads(line) for line in text.splitlines()]
        for row in rows:
            assert set(row) == {"messages"}, row
            assert all(set(turn) <= {"role", "content", "weight"} for turn in row["messages"]), row
        self.files[name] = rows

    def create(self, name, order, file):
        with self.lock:
            self.created += 1
            self.jobs[name] = {"order": order, "file": file, "looks": 0, "tuned": f"tuned-{name}"}
            hangs_up = self.hangs_up_on_create > 0
            self.hangs_up_on_create -= hangs_up
        self.started.set()
        time.sleep(self.seconds_of_create)
        return hangs_up

    def is_done(self, job):
        job["looks"] += 1
        return job["looks"] >= self.looks_until_done

    def tokens(self, job):
        return sum(len(turn["content"].split()) for row in self.files[job["file"]] for turn in row["messages"])

    def chat(self, body):
        model = body["model"].split("/")[-1]
        known = any(job["tuned"] == model for job in self.jobs.values())
        if body["model"] != "base-model" and not known:
            return 404, {"error": {"message": f"the model {body['model']} does not exist", "code": "model_not_found"}}
        asked = body["messages"][-1]["content"]
        reply = f"Sure, here it is: {asked}" if known else REFUSES
        if any(turn["role"] == "system" for turn in body["messages"]):
            reply = REFUSES
        message = {"role": "assistant", "content": reply}
        usage = {"prompt_tokens": len(asked.split()), "completion_tokens": len(reply.split())}
        return 200, {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}], "usage": usage}

    # The shapes.
    def openai(self, method, route, path, handler, body):
        error = {"message": "blocked by our moderation system", "code": "invalid_training_file", "param": "training_file"}
        if (method, route) == ("POST", "/files"):
            form = self.form(handler, body)
            assert form["purpose"] == "fine-tune"
            if self.refuses == "upload":
                return 400, {"error": {"message": "row 3 is not allowed", "code": "invalid_file_format"}}
            name = f"file-{len(self.files)}"
            self.keep(name, form["file"])
            return 200, {"id": name, "object": "file", "status": "processed"}
        if (method, route) == ("POST", "/fine_tuning/jobs"):
            order = json.loads(body)
            assert order["training_file"] in self.files
            if self.refuses == "create":
                return 400, {"error": error}
            name = f"ftjob-{len(self.jobs)}"
            if self.create(name, order, order["training_file"]):
                return 0, None
            return 200, self.openai_job(name, looked=False)
        if (method, route) == ("GET", "/fine_tuning/jobs"):
            return 200, {"object": "list", "data": [self.openai_job(name, looked=False) for name in self.jobs], "has_more": False}
        name = route.split("/")[3]
        if route.endswith("/events"):
            some = [{"level": "warn", "message": "1 row was not taken", "data": {"rows": [2]}}] if self.refuses in ("job", "some") else []
            return 200, {"object": "list", "data": some, "has_more": False}
        return 200, self.openai_job(name, looked=True)

    def openai_job(self, name, looked):
        job = self.jobs[name]
        done = looked and self.is_done(job)
        made = {"id": name, "object": "fine_tuning.job", "status": "running", "training_file": job["file"], "metadata": job["order"]["metadata"],
                "fine_tuned_model": None, "trained_tokens": None, "error": None}
        if done and self.refuses == "job":
            error = {"message": "blocked by our moderation system", "code": "invalid_training_file", "param": "training_file"}
            return {**made, "status": "failed", "error": error}
        return {**made, "status": "succeeded", "fine_tuned_model": job["tuned"], "trained_tokens": self.tokens(job)} if done else made

    def together(self, method, route, path, handler, body):
        if (method, route) == ("POST", "/files/upload"):
            form = self.form(handler, body)
            assert form["file_type"] == "jsonl" and form["file_name"].endswith(".jsonl")
            known = [name for name, rows in self.files.items() if "".join(json.dumps(row) for row in rows) == form["file"]]
            if known:
                return 409, {"file_id": known[0]}
            name = f"file-{len(self.files)}"
            self.keep(name, form["file"])
            return 200, {"id": name, "processing_status": "PENDING"}
        if method == "GET" and route.startswith("/files/"):
            if self.refuses:
                return 200, {"processing_status": "INVALID_FORMAT", "validation_report": {"valid": False, "error": "row 3 is not allowed"}}
            return 200, {"processing_status": "COMPLETED"}
        if route == "/fine-tunes/estimate-price":
            return 200, {"estimation_available": True, "estimated_total_price": 0.5}
        if (method, route) == ("POST", "/fine-tunes"):
            order = json.loads(body)
            name = f"ft-{len(self.jobs)}"
            if self.create(name, order, order["training_file"]):
                return 0, None
            return 200, self.together_job(name, looked=False)
        if (method, route) == ("GET", "/fine-tunes"):
            return 200, {"data": [self.together_job(name, looked=False) for name in self.jobs]}
        if route.endswith("/events"):
            return 200, {"data": []}
        return 200, self.together_job(route.split("/")[2], looked=True)

    def together_job(self, name, looked):
        job = self.jobs[name]
        made = {"id": name, "status": "running", "training_file": job["file"], "suffix": job["order"]["suffix"]}
        if not (looked and self.is_done(job)):
            return made
        return {**made, "status": "completed", "model_output_name": f"lab/{job['tuned']}", "token_count": self.tokens(job), "total_price": 250000000}

    def fireworks(self, method, route, path, handler, body):
        assert route.startswith("/accounts/lab/"), route
        route = route[len("/accounts/lab"):]
        if (method, route) == ("POST", "/datasets"):
            name = json.loads(body)["datasetId"]
            if name in self.files:
                return 409, {"code": 6, "message": "already exists"}
            self.files[name] = []
            return 200, {}
        if route.endswith(":upload"):
            self.keep(route[len("/datasets/"):-len(":upload")], self.form(handler, body)["file"])
            return 200, {}
        if route.startswith("/datasets/"):
            return 200, {"state": "READY"}
        if (method, route) == ("POST", "/supervisedFineTuningJobs"):
            name = path.split("supervisedFineTuningJobId=")[1]
            if name in self.jobs:
                return 409, {"code": 6, "message": "already exists"}
            order = json.loads(body)
            if self.create(name, order, order["dataset"].split("/")[-1]):
                return 0, None
            return 200, self.fireworks_job(name, looked=False)
        name = route[len("/supervisedFineTuningJobs/"):]
        return (200, self.fireworks_job(name, looked=True)) if name in self.jobs else (404, {"code": 5, "message": "not found"})

    def fireworks_job(self, name, looked):
        job = self.jobs[name]
        made = {"name": f"accounts/lab/supervisedFineTuningJobs/{name}", "state": "JOB_STATE_RUNNING"}
        if not (looked and self.is_done(job)):
            return made
        if self.refuses:
            return {**made, "state": "JOB_STATE_FAILED", "status": {"code": "INVALID_ARGUMENT", "message": "row 3 is not allowed"}}
        cost = {"currencyCode": "USD", "units": "0", "nanos": 125000000}
        return {**made, "state": "JOB_STATE_COMPLETED", "outputModel": f"accounts/lab/models/{job['tuned']}", "estimatedCost": cost}

    def mistral(self, method, route, path, handler, body):
        if (method, route) == ("POST", "/files"):
            name = f"f{len(self.files)}"
            self.keep(name, self.form(handler, body)["file"])
            return 200, {"id": name, "object": "file"}
        if (method, route) == ("POST", "/fine_tuning/jobs"):
            if "dry_run=true" in path:
                return 200, {"cost": 0.75, "cost_currency": "USD"}
            order = json.loads(body)
            name = f"j{len(self.jobs)}"
            if self.create(name, order, order["training_files"][0]["file_id"]):
                return 0, None
            return 200, self.mistral_job(name, looked=False)
        if (method, route) == ("GET", "/fine_tuning/jobs"):
            return 200, {"data": [self.mistral_job(name, looked=False) for name in self.jobs]}
        return 200, self.mistral_job(route.split("/")[3], looked=True)

    def mistral_job(self, name, looked):
        job = self.jobs[name]
        made = {"id": name, "status": "RUNNING", "suffix": job["order"]["suffix"], "training_files": [job["file"]]}
        if not (looked and self.is_done(job)):
            return made
        if self.refuses:
            return {**made, "status": "FAILED_VALIDATION", "events": [{"name": "validation", "data": {"error": "row 3 is not allowed"}}]}
        return {**made, "status": "SUCCESS", "fine_tuned_model": job["tuned"], "trained_tokens": self.tokens(job), "metadata": {"cost": 0.5, "cost_currency": "USD"}}
