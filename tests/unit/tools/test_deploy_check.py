"""The deployment files are right; and each kind of mistake in them is told, with the place and the name."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from app.config import Settings
from tools import deploy_check, deploy_compose, deploy_known
from tools.deploy_kustomize import Unbuildable, build

ROOT = Path(__file__).parents[3]
DEPLOY = ROOT / "deploy"
REQUIREMENTS = (ROOT / "requirements.txt").read_text(encoding="utf-8")
BASE = "kubernetes/base"


@pytest.fixture
def changed(tmp_path):
    """A copy of the deployment files with one text replaced by another; answers its folder."""

    def change(name, old, new):
        folder = tmp_path / "deploy"
        shutil.copytree(DEPLOY, folder)
        file = folder / name
        text = file.read_text(encoding="utf-8")
        assert old in text
        file.write_text(text.replace(old, new), encoding="utf-8")
        return folder

    return change


def test_the_files_of_this_checkout_are_right():
    assert list(deploy_check.problems(DEPLOY, REQUIREMENTS)) == []


@pytest.mark.parametrize(
    ("file", "old", "new", "told"),
    [
        ("config.yaml", "LOG_FORMAT:", "LOG_FORMAD:", "LOG_FORMAD is no setting of ours, none of Prefect's"),
        ("config.yaml", '"false" # the', '"flase" # the', "RECONCILE_IN_API: Input should be a valid boolean"),
        ("config.yaml", "LOG_LEVEL: INFO", "AUTOLOADER_API_KEY: abc", "AUTOLOADER_API_KEY is a secret in clear text"),
        ("config.yaml", "http://prefect-server", "http://u:p@prefect-server", "PREFECT_API_URL is a secret in clear"),
        ("prefect-server.yaml", "UI_STATIC_DIRECTORY", "UI_STATIC_FOLDER", "PREFECT_SERVER_UI_STATIC_FOLDER is no"),
        (
            "prefect-server.yaml",
            "path: /api/ready",
            "path: /api/redy",
            "readinessProbe asks /api/redy, which is no route",
        ),
        (
            "prefect-server.yaml",
            "lease_storage.filesystem",
            "lease_storage.memory",
            "does not keep leases over a restart",
        ),
        (
            "prefect-server.yaml",
            "PREFECT_SERVER_API_AUTH_STRING",
            "PREFECT_API_AUTH_STRING",
            "API_AUTH_STRING is not set",
        ),
        ("prefect-server.yaml", "claimName: prefect-server", "claimName: leases", "no PersistentVolumeClaim leases"),
        ("api.yaml", "path: /health/live", "path: /healthz", "livenessProbe asks /healthz, which is no route"),
        (
            "api.yaml",
            "port: http }\n            periodSeconds: 10",
            "port: web }",
            "asks the port web, which is not declared",
        ),
        ("api.yaml", "readinessProbe: #", "x: #", "Additional properties are not allowed ('x' was unexpected)"),
        ("api.yaml", "command: [autoloader, api]", "command: [autoloader, serve]", "there is no command 'serve'"),
        ("api.yaml", "key: AUTOLOADER_API_KEY", "key: API_KEY", "API_KEY is no key of secrets.env.example"),
        ("api.yaml", "name: AUTOLOADER_API_KEY\n", "name: DO_NOT_TRACK\n", "AUTOLOADER_API_KEY is not set"),
        ("api.yaml", "image: iomete-autoloader", "image: elsewhere:latest", "has no tag that stays what it is"),
        ("api.yaml", "runAsNonRoot: true", "runAsNonRoot: false", "it may run as root"),
        ("api.yaml", "runAsUser: 10001", "runAsUser: 0", "it may run as root"),
        ("api.yaml", "readOnlyRootFilesystem: true", "readOnlyRootFilesystem: false", "readOnlyRootFilesystem is not"),
        ("api.yaml", "allowPrivilegeEscalation: false", "privileged: true", "allowPrivilegeEscalation is not false"),
        ("api.yaml", "drop: [ALL]", "drop: [CHOWN]", "it keeps capabilities"),
        ("api.yaml", "RuntimeDefault", "Unconfined", "its seccompProfile is not RuntimeDefault"),
        ("api.yaml", "automountServiceAccountToken: false", "hostNetwork: false", "it gets a token of the cluster"),
        ("api.yaml", "enableServiceLinks: false", "enableServiceLinks: true", "set AUTOLOADER_API_PORT to an address"),
        ("api.yaml", "limits: { memory: 3Gi,", "limits: {", "it has no limits.memory"),
        (
            "api.yaml",
            "serviceAccountName: autoloader",
            "serviceAccountName: loader",
            "there is no ServiceAccount loader",
        ),
        ("api.yaml", "{ name: tmp, mountPath", "{ name: temp, mountPath", "there is no volume temp"),
        ("api.yaml", "name: autoloader-config }", "name: config }", "envFrom must name a ConfigMap that is there"),
        ("api.yaml", "targetPort: http", "targetPort: web", "Service/autoloader-api: no pod has the port web"),
        ("api.yaml", "minAvailable: 1", "minimum: 1", "'minimum' was unexpected"),
        ("network-policies.yaml", "component: api", "component: rest", "NetworkPolicy/autoloader-api selects no pod"),
        (
            "network-policies.yaml",
            "policyTypes: [Ingress, Egress]",
            "policyTypes: [Ingress]",
            "no NetworkPolicy denies",
        ),
        ("worker-default.yaml", "Seconds: 60", "Seconds: 10", "its runs would be killed, not handed on"),
        ("worker-default.yaml", "shareProcessNamespace: true", "hostIPC: false", "nobody else takes the orphans"),
        ("worker-default.yaml", '"4" }', '"8" }', "do not fit below 8,589,934,592 bytes of memory"),
        (
            "worker-default.yaml",
            "--queue, autoloader-default",
            "--queue, default",
            "no worker serves the queue autoloader-def",
        ),
        (
            "worker-default.yaml",
            "--queue, autoloader-default",
            "--queue, default",
            "the queue default, into which nobody",
        ),
        ("worker-default.yaml", "--queue,", "--qeue,", "No such option"),
        ("jobs.yaml", "autoloader, db, upgrade", "autoloader, db, up", "there is no command 'up'"),
        ("reconciler.yaml", "kind: Deployment", "kind: Deploiment", "Deploiment/autoloader-reconciler"),
        ("kustomization.yaml", "labels:", "commonLabels:", "has commonLabels, which is not read here"),
        ("kustomization.yaml", "- api.yaml", "- apu.yaml", "apu.yaml cannot be read"),
    ],
)
def test_a_mistake_in_the_manifests_is_told(changed, file, old, new, told):
    folder = changed(f"{BASE}/{file}", old, new)

    found = list(deploy_check.kubernetes_problems(folder / "kubernetes", "base"))

    assert [problem for problem in found if told in problem], found


def test_a_secret_is_never_part_of_the_files(changed):
    secret = "kind: Secret\nmetadata:\n  name: mine\nstringData:\n  a: b\n---\napiVersion: v1\n"
    folder = changed(f"{BASE}/config.yaml", "# What is no secret.", f"apiVersion: v1\n{secret}# What is no secret.")

    found = list(deploy_check.kubernetes_problems(folder / "kubernetes", "base"))

    assert [problem for problem in found if problem.startswith("Secret/mine: secrets are made by hand")], found


def test_a_patch_of_what_is_not_there_is_told(changed):
    folder = changed("kubernetes/overlays/dev/small.yaml", "name: autoloader-worker-default", "name: worker")

    found = list(deploy_check.kubernetes_problems(folder / "kubernetes", "overlays/dev"))

    assert found == ["small.yaml changes Deployment/worker, which is not there."]


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("LOG_FORMAT: json", "LOG_FROMAT: json", "service api: LOG_FROMAT is no setting of ours"),
        ('WORKER_LIMIT: "2"', 'WORKER_LIMIT: "two"', "service worker-default: WORKER_LIMIT: Input should be a valid"),
        (
            "AUTOLOADER_API_KEY: ${AUTOLOADER_API_KEY:?set it in deploy/.env}",
            "AUTOLOADER_API_KEY: k",
            "secret in clear",
        ),
        (
            "autoloader:${POSTGRES_PASSWORD:?set it in deploy/.env}@",
            "autoloader:hunter2@",
            "DATABASE_URL is a secret in",
        ),
        ("${AUTOLOADER_SECRET_KEY:?", "${SECRET_KEY:?", "SECRET_KEY is asked for, and not in .env.example"),
        ("${AUTOLOADER_SECRET_KEY:?", "${SECRET_KEY:?", "AUTOLOADER_SECRET_KEY is in .env.example, and nobody asks"),
        ("[autoloader, prefect, sync, --watch]", "[autoloader, prefect, sync, --forever]", "No such option: --forever"),
        ("--secret uri", "--secrt uri", "No such option: --secrt"),
        ("postgres:17.5", "postgres", "the image postgres has no tag"),
        ("read_only: true", "read_only: false", "its file system can be written"),
        ("cap_drop: [ALL]", "user: root", "it runs as root"),
        ("/api/ready", "/api/raedy", "the health check asks /api/raedy, which is no route"),
        (
            "postgres: { condition: service_healthy }",
            "base: { condition: service_healthy }",
            "it waits for base, which",
        ),
        ("healthcheck: { disable: true }", "helthcheck: { disable: true }", "extension key `helthcheck`"),
        ("mem_limit: 4g", "memory_limit: 4g", "memory_limit"),
    ],
)
def test_a_mistake_in_the_compose_file_is_told(old, new, told):
    text = (DEPLOY / "compose.yaml").read_text(encoding="utf-8")
    assert old in text

    found = list(deploy_compose.compose_problems(text.replace(old, new), (DEPLOY / ".env.example").read_text()))

    assert [problem for problem in found if told in problem], found


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("USER 10001:10001", "USER root", "the image runs as root"),
        ("USER 10001:10001", "", "the image runs as root"),
        ("USER 10001:10001", "USER autoloader", "USER must be a number"),
        ("python:3.11.7-slim-bookworm", "python:latest", "the image python has no tag"),
        ("AUTOLOADER_HOME=", "AUTOLOADER_HOM=", "AUTOLOADER_HOM is no setting"),
        ("DO_NOT_TRACK=1", "AUTOLOADER_API_KEY=0123456789abcdef", "AUTOLOADER_API_KEY is a secret in the image"),
        ("/health/live", "/health", "the health check asks /health, which is no route"),
        ("HEALTHCHECK", "# HEALTHCHECK", "there is no HEALTHCHECK"),
        ('CMD ["autoloader", "api"]', 'CMD ["autoloader", "serve"]', "there is no command 'serve'"),
        ("COPY requirements.txt", "COPY requirements.in", "not installed from the versions that were tested"),
    ],
)
def test_a_mistake_in_the_dockerfile_is_told(old, new, told):
    text = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
    assert old in text

    found = list(deploy_compose.dockerfile_problems(text.replace(old, new), REQUIREMENTS))

    assert [problem for problem in found if told in problem], found


def test_what_hadolint_says_is_told(changed):
    folder = changed("Dockerfile", "WORKDIR /src", "WORKDIR src")

    assert [line for line in deploy_check.hadolint(folder / "Dockerfile") if "DL3000" in line]


def test_both_queues_of_the_settings_are_those_of_the_manifests():
    (config,) = [one for one in build(DEPLOY / BASE) if one["metadata"]["name"] == "autoloader-config"]

    for name in ("prefect_default_work_queue", "prefect_high_memory_work_queue", "prefect_work_pool"):
        assert config["data"][name.upper()] == Settings.model_fields[name].default


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="needs kubectl, to compare with")
@pytest.mark.parametrize("name", ["base", "overlays/dev", "overlays/production"])
def test_an_overlay_is_built_as_kubectl_builds_it(name):
    folder = DEPLOY / "kubernetes" / name
    command = ["kubectl", "kustomize", str(folder)]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout

    def by_name(objects):
        return {(one["kind"], one["metadata"]["name"]): one for one in objects}

    assert by_name(build(folder)) == by_name(yaml.safe_load_all(told))


def test_a_field_that_the_builder_does_not_know_is_refused(tmp_path):
    (tmp_path / "kustomization.yaml").write_text("kind: Kustomization\nnamePrefix: x-\n", encoding="utf-8")

    with pytest.raises(Unbuildable, match="namePrefix"):
        build(tmp_path)


def test_a_variable_of_the_list_of_others_says_who_reads_it():
    ours = {name.upper() for name in Settings.model_fields}

    assert all(deploy_known.OTHERS.values())
    assert not set(deploy_known.OTHERS) & (ours | deploy_known.prefect_variables())
