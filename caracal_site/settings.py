"""Every setting of the platform, read from the environment in this one place.

A secret ``NAME`` may also be given as a file path in ``NAME_FILE``; the plain
variable wins. ``README.md`` lists what operators may set. Values are checked by
``caracal_site.checks``: production mode refuses to start with a missing, default
or weak secret and says which.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path

import environ

BASE_DIR = Path(__file__).resolve().parent.parent

env = environ.Env()
environ.Env.read_env(BASE_DIR / ".env")


def secret(name: str, default: str = "") -> str:
    """``NAME``, else the content of the file ``NAME_FILE`` names, else ``default``."""
    value = os.environ.get(name, "")
    path = os.environ.get(f"{name}_FILE", "")
    if value or not path:
        return value or default
    return Path(path).read_text(encoding="utf-8").rstrip()


# --- process ---------------------------------------------------------------------

# dev, rc or stable; rc and stable are "published" and take no insecure shortcut.
CARACAL_MODE = env.str("CARACAL_MODE", default="stable")
# api, coordinator, worker, beat or command: which process of the deployment this is.
CARACAL_PROCESS = env.str("CARACAL_PROCESS", default="command")
CARACAL_DATA_DIR = Path(env.str("CARACAL_DATA_DIR", default=str(BASE_DIR / ".caracal")))
WORKER_ID = env.str("WORKER_ID", default=f"{socket.gethostname()}:{os.getpid()}")
LOG_LEVEL = env.str("LOG_LEVEL", default="info").upper()

DEBUG = False
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["127.0.0.1", "localhost", "[::1]"])
TRUST_PROXY = env.bool("TRUST_PROXY", default=False)

API_URL = env.str("API_URL", default="http://127.0.0.1:3000")
COORDINATOR_URL = env.str("COORDINATOR_URL", default="http://127.0.0.1:4000")
ISSUER_URL = env.str("ISSUER_URL", default=COORDINATOR_URL)

# --- secrets ---------------------------------------------------------------------

SECRET_KEY = secret("SECRET_KEY", "unset")
ZONE_KEK = secret("ZONE_KEK")
# Keys that only open what was sealed under them, divided by commas.
ZONE_KEK_PREVIOUS = [
    key.strip() for key in secret("ZONE_KEK_PREVIOUS").split(",") if key.strip()
]
CREDENTIAL_HMAC_KEY = secret("CREDENTIAL_HMAC_KEY")
STREAMS_HMAC_KEY = secret("STREAMS_HMAC_KEY")
AUDIT_HMAC_KEY = secret("AUDIT_HMAC_KEY")
# Keys that only verify what was sealed under them, divided by commas.
AUDIT_HMAC_KEY_PREVIOUS = [
    key.strip() for key in secret("AUDIT_HMAC_KEY_PREVIOUS").split(",") if key.strip()
]
# Without it no gateway may exchange tokens.
GATEWAY_STS_HMAC_KEY = secret("GATEWAY_STS_HMAC_KEY")
# What other producers of decisions sign with, divided by commas.
AUDIT_INGEST_HMAC_KEYS = [
    key.strip()
    for key in secret(
        "AUDIT_INGEST_HMAC_KEYS", ",".join([AUDIT_HMAC_KEY, *AUDIT_HMAC_KEY_PREVIOUS])
    ).split(",")
    if key.strip()
]
CARACAL_ADMIN_TOKEN = secret("CARACAL_ADMIN_TOKEN")
CARACAL_COORDINATOR_TOKEN = secret("CARACAL_COORDINATOR_TOKEN")
METRICS_BEARER = secret("METRICS_BEARER")

# --- applications ----------------------------------------------------------------

INSTALLED_APPS = [
    "caracal_site.console.apps.ConsoleConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django_filters",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_prometheus",
    "caracal_site.apps.KernelConfig",
    "audit",
    "zones",
    "tokens",
    "policies",
    "agents",
    "delegations",
]

# The API deployment's. The coordinator has its own short chain
# (caracal_site.coordinator.handler), because each synchronous middleware would
# cost it a thread hop.
MIDDLEWARE = [
    "caracal_site.middleware.request_context",
    # Calls of the Management API end here; the rest is for people's browsers.
    "caracal_site.api.middleware.management_api",
    "django_prometheus.middleware.PrometheusBeforeMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_prometheus.middleware.PrometheusAfterMiddleware",
]

ROOT_URLCONF = "caracal_site.urls"
COORDINATOR_URLCONF = "caracal_site.coordinator.urls"
WSGI_APPLICATION = "caracal_site.wsgi.application"
ASGI_APPLICATION = "caracal_site.asgi.application"
APPEND_SLASH = False
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        # Before the apps' own: the console overrides templates of Django's admin.
        "DIRS": [BASE_DIR / "caracal_site" / "console" / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

# --- stores ----------------------------------------------------------------------

DATABASE_URL = secret("DATABASE_URL", "postgres://127.0.0.1:5432/caracal")
REDIS_URL = secret("REDIS_URL", "redis://127.0.0.1:6379/0")

DB_POOL_MAX = env.int("DB_POOL_MAX", default=20)
DB_STATEMENT_TIMEOUT_MS = env.int("DB_STATEMENT_TIMEOUT_MS", default=10_000)
DB_CONNECTION_TIMEOUT_MS = env.int("DB_CONNECTION_TIMEOUT_MS", default=5_000)
DB_IDLE_TIMEOUT_MS = env.int("DB_IDLE_TIMEOUT_MS", default=30_000)
DB_LOCK_TIMEOUT_MS = env.int("DB_LOCK_TIMEOUT_MS", default=3_000)

_database = env.db_url_config(DATABASE_URL)
_database.update(
    ENGINE="django.db.backends.postgresql",
    CONN_MAX_AGE=0,
    OPTIONS={
        **_database.get("OPTIONS", {}),
        "pool": {
            "min_size": 1,
            "max_size": DB_POOL_MAX,
            "timeout": DB_CONNECTION_TIMEOUT_MS / 1000,
            "max_idle": DB_IDLE_TIMEOUT_MS / 1000,
        },
        "options": (
            f"-c statement_timeout={DB_STATEMENT_TIMEOUT_MS}"
            f" -c lock_timeout={DB_LOCK_TIMEOUT_MS} -c timezone=UTC"
            # Prepared statements keep the plan made while their tables were still
            # small; one that scanned them would get slower with every row.
            " -c plan_cache_mode=force_generic_plan -c enable_seqscan=off"
        ),
        # The named statements (caracal_site.statements) are planned once a connection.
        "prepare_threshold": 1,
        "application_name": f"caracal-{CARACAL_PROCESS}",
    },
)
DATABASES = {"default": _database}

# --- time, language, files -------------------------------------------------------

USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en-us"
USE_I18N = False
STATIC_URL = "/static/"
STATICFILES_DIRS = [BASE_DIR / "caracal_site" / "console" / "static"]
# Served from where the applications have them; nothing needs to be collected.
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = False

# --- browser security ------------------------------------------------------------

PASSWORD_HASHERS = ["django.contrib.auth.hashers.Argon2PasswordHasher"]
AUTH_PASSWORD_VALIDATORS = [
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 12},
    },
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "/admin/login/"
CONSOLE_COOKIE_SECURE = env.bool(
    "CONSOLE_COOKIE_SECURE", default=API_URL.startswith("https://")
)
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = CONSOLE_COOKIE_SECURE
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Strict"
SESSION_COOKIE_AGE = 8 * 3600
CSRF_COOKIE_SAMESITE = "Strict"
CSRF_FAILURE_VIEW = "caracal_site.api.fallbacks.csrf_failure"
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])
SECURE_CONTENT_TYPE_NOSNIFF = True
# Not "no-referrer": browsers then send no origin with forms, and CSRF refuses them.
SECURE_REFERRER_POLICY = "same-origin"
SECURE_SSL_REDIRECT = False
SECURE_HSTS_SECONDS = env.int("SECURE_HSTS_SECONDS", default=0)
X_FRAME_OPTIONS = "DENY"
SILENCED_SYSTEM_CHECKS = [
    "security.W005",  # Whether HSTS covers subdomains is for the domain's owner to say,
    "security.W021",  # and so is entering the browsers' preload list.
    "security.W008",  # Redirecting to TLS is the proxy's: clients here follow none.
]
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'none'"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        "font-src": ["'self'"],
        "connect-src": ["'self'"],
        "form-action": ["'self'"],
        "frame-ancestors": ["'none'"],
        "base-uri": ["'none'"],
    },
}

# --- Management API --------------------------------------------------------------

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "caracal_site.api.sessions.ConsoleSessionAuthentication",
        "zones.api.authentication.AdminTokenAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": [
        "caracal_site.api.permissions.AdminTokenPermission",
        "caracal_site.api.sessions.ConsolePermission",
    ],
    "DEFAULT_THROTTLE_CLASSES": ["caracal_site.api.throttling.ActorRateThrottle"],
    "DEFAULT_PARSER_CLASSES": ["caracal_site.api.parsers.StrictJSONParser"],
    "DEFAULT_RENDERER_CLASSES": [
        "caracal_site.api.renderers.OrjsonRenderer",
        "caracal_site.api.pages.PageRenderer",
    ],
    "DEFAULT_PAGINATION_CLASS": None,
    "DEFAULT_FILTER_BACKENDS": [],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "caracal_site.api.exceptions.exception_handler",
    "UNAUTHENTICATED_USER": None,
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Caracal Management API",
    "DESCRIPTION": (
        "Zones and what lives in them: applications, providers, resources, policies "
        "and evidence."
    ),
    "VERSION": "1.0.0",
    "OAS_VERSION": "3.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    "COMPONENT_SPLIT_REQUEST": True,
    "ENUM_NAME_OVERRIDES": {
        "RegistrationMethodEnum": "zones.models.RegistrationMethod",
        "PolicyDecisionEnum": [("allow", "allow"), ("deny", "deny")],
        "AgentStatusEnum": "agents.models.AgentStatus",
        "InvocationStatusEnum": "agents.models.InvocationStatus",
        "AuthorityStatusEnum": "tokens.models.SessionStatus",
    },
    # The API of programs; people's sessions are the browsable pages' own affair.
    "AUTHENTICATION_WHITELIST": ["zones.api.authentication.AdminTokenAuthentication"],
    "RENDERER_WHITELIST": ["caracal_site.api.renderers.OrjsonRenderer"],
    "SCHEMA_PATH_PREFIX": r"/v1(/zones/\{zone_id\}(?=/))?",
}

# /docs, /redoc and /openapi.json of both deployments.
API_ENABLE_DOCS = env.bool("API_ENABLE_DOCS", default=True)
API_BODY_LIMIT_BYTES = env.int("API_BODY_LIMIT_BYTES", default=1_048_576)
DATA_UPLOAD_MAX_MEMORY_SIZE = API_BODY_LIMIT_BYTES
API_MAX_RESOURCES_PER_ZONE = env.int("API_MAX_RESOURCES_PER_ZONE", default=100_000)
API_READY_OUTBOX_DEAD_MAX = env.int("API_READY_OUTBOX_DEAD_MAX", default=0)
ADMIN_TOKEN_LAST_USED_DEBOUNCE_SEC = env.int(
    "ADMIN_TOKEN_LAST_USED_DEBOUNCE_SEC", default=60
)
BOOTSTRAP_TOKEN_OVERLAP_SECONDS = env.int("BOOTSTRAP_TOKEN_OVERLAP_SECONDS", default=60)
CLIENT_SECRET_OVERLAP_SECONDS = env.int("CLIENT_SECRET_OVERLAP_SECONDS", default=3600)
CONTROL_AUDIENCE = env.str("CONTROL_AUDIENCE", default="caracal-control")
MAX_DCR_APPLICATIONS_PER_ZONE = env.int("MAX_DCR_APPLICATIONS_PER_ZONE", default=1_000)
DCR_RATE_LIMIT_PER_SEC = env.int("DCR_RATE_LIMIT_PER_SEC", default=10)

# --- requests to providers -------------------------------------------------------

# Networks besides the public internet that token endpoints may be in (CIDR).
EGRESS_ALLOWED_NETWORKS = env.list("EGRESS_ALLOWED_NETWORKS", default=[])
# Certificates of private authorities that token endpoints may have (PEM).
EGRESS_CA_FILE = env.str("EGRESS_CA_FILE", default="")
# How long a provider's token that can be renewed is used before it is.
MAX_GRANT_TTL_SECONDS = env.int("MAX_GRANT_TTL_SECONDS", default=3_600)

# --- rate limits, requests a minute; 0 switches one off -----------------------------

API_V1_RATE_LIMIT_PER_MIN = env.int("API_V1_RATE_LIMIT_PER_MIN", default=600)
ADMIN_AUTH_FAIL_LIMIT_PER_MIN = env.int("ADMIN_AUTH_FAIL_LIMIT_PER_MIN", default=60)
READY_RATE_LIMIT_PER_MIN = env.int("READY_RATE_LIMIT_PER_MIN", default=120)
COORDINATOR_RATE_LIMIT_PER_MIN = env.int("COORDINATOR_RATE_LIMIT_PER_MIN", default=600)
V1_RATE_LIMIT_PER_MIN = env.int("V1_RATE_LIMIT_PER_MIN", default=300)
VERIFY_RATE_LIMIT_PER_MIN = env.int("VERIFY_RATE_LIMIT_PER_MIN", default=60)
INVOCATION_RATE_LIMIT_PER_MIN = env.int("INVOCATION_RATE_LIMIT_PER_MIN", default=120)
TOKEN_RATE_LIMIT_PER_MIN = env.int("TOKEN_RATE_LIMIT_PER_MIN", default=600)
TOKEN_AUTH_FAIL_LIMIT_PER_MIN = env.int("TOKEN_AUTH_FAIL_LIMIT_PER_MIN", default=30)

# --- coordinator -----------------------------------------------------------------

AGENT_COORDINATOR_SCOPE = env.str("AGENT_COORDINATOR_SCOPE", default="agent:lifecycle")
# A module with cached(token), authenticate(token) and check_alive(actor).
COORDINATOR_VERIFIER = "tokens.bearer"
REFUSAL_RECORDER = "audit.refusals.record"
EXPORT_RECORDER = "audit.services.record_export"
# A module with failed(door, error, username), signed_in(actor), signed_out(actor).
AUTHENTICATION_RECORDER = "audit.authentication"
# Functions that start what runs beside the requests of a coordinator process.
COORDINATOR_COMPANIONS = ["policies.watching.start"]
COORDINATOR_BODY_LIMIT_BYTES = env.int(
    "COORDINATOR_BODY_LIMIT_BYTES", default=1_048_576
)
# One interpreter keeps one core busy, however many threads it has.
API_WORKERS = env.int("API_WORKERS", default=min(os.cpu_count() or 1, 4))
COORDINATOR_DB_THREADS = env.int("COORDINATOR_DB_THREADS", default=6)
MAX_AGENTS_PER_ZONE = env.int("MAX_AGENTS_PER_ZONE", default=10_000)
MAX_AGENTS_PER_APP = env.int("MAX_AGENTS_PER_APP", default=10_000)
MAX_CHILDREN = env.int("MAX_CHILDREN", default=100)
MAX_DEPTH = env.int("MAX_DEPTH", default=10)
SERVICE_AGENT_LEASE_SECONDS = env.int("SERVICE_AGENT_LEASE_SECONDS", default=120)
# After so long without a heartbeat a service agent is ended.
SERVICE_UNSEEN_SECONDS = env.int("SERVICE_UNSEEN_SECONDS", default=86_400)
SERVICE_LEASE_SWEEP_INTERVAL_MS = env.int(
    "SERVICE_LEASE_SWEEP_INTERVAL_MS", default=30_000
)
# How long a call may wait to be started, and run on after its end was asked for.
INVOCATION_QUEUE_TIMEOUT_SECONDS = env.int(
    "INVOCATION_QUEUE_TIMEOUT_SECONDS", default=3_600
)
INVOCATION_CANCEL_TIMEOUT_SECONDS = env.int(
    "INVOCATION_CANCEL_TIMEOUT_SECONDS", default=30
)
DEADLINE_SWEEP_INTERVAL_MS = env.int("DEADLINE_SWEEP_INTERVAL_MS", default=5_000)
TTL_SWEEP_INTERVAL_MS = env.int("TTL_SWEEP_INTERVAL_MS", default=60_000)
STRANDED_SWEEP_INTERVAL_MS = env.int("STRANDED_SWEEP_INTERVAL_MS", default=5_000)
SWEEPER_BATCH_SIZE = env.int("SWEEPER_BATCH_SIZE", default=500)
# How long what has ended is kept; 0: for ever.
DELEGATION_RETENTION_DAYS = env.int("DELEGATION_RETENTION_DAYS", default=90)
AGENT_RETENTION_DAYS = env.int("AGENT_RETENTION_DAYS", default=90)
INVOCATION_RETENTION_DAYS = env.int("INVOCATION_RETENTION_DAYS", default=30)
IDEMPOTENCY_RETENTION_HOURS = env.int("IDEMPOTENCY_RETENTION_HOURS", default=24)
SHUTDOWN_GRACE_MS = env.int("SHUTDOWN_GRACE_MS", default=15_000)
# How long a process that was told to stop serves on, unready.
SHUTDOWN_DRAIN_MS = env.int("SHUTDOWN_DRAIN_MS", default=1_000)

# --- policies -------------------------------------------------------------------

OPA_POLL_SECONDS = env.int("OPA_POLL_SECONDS", default=2)

# --- tokens ----------------------------------------------------------------------

SESSION_TOKEN_DEFAULT_TTL_SECONDS = 900
SESSION_TOKEN_MAX_TTL_SECONDS = 3_600
RESOURCE_TOKEN_MAX_TTL_SECONDS = 900
TOKEN_BODY_LIMIT_BYTES = 65_536
SIGNING_KEY_LIFETIME_DAYS = env.int("SIGNING_KEY_LIFETIME_DAYS", default=90)
MAX_OPEN_CHALLENGES_PER_APP = env.int("MAX_OPEN_CHALLENGES_PER_APP", default=100)

# --- evidence --------------------------------------------------------------------

OUTBOX_SWEEP_INTERVAL_MS = env.int("OUTBOX_SWEEP_INTERVAL_MS", default=2_000)
OUTBOX_BATCH_SIZE = env.int("OUTBOX_BATCH_SIZE", default=500)
OUTBOX_RETENTION_DAYS = env.int("OUTBOX_RETENTION_DAYS", default=7)
# Requests of one coordinator process, and of one caller there, that wait for events.
EVENT_WAITERS_MAX = env.int("EVENT_WAITERS_MAX", default=500)
EVENT_WAITERS_PER_CALLER = env.int("EVENT_WAITERS_PER_CALLER", default=50)
EVENT_WAIT_MAX_SECONDS = env.int("EVENT_WAIT_MAX_SECONDS", default=25)
EVENT_HEARTBEAT_SECONDS = env.int("EVENT_HEARTBEAT_SECONDS", default=15)
OUTBOX_MAX_ATTEMPTS = env.int("OUTBOX_MAX_ATTEMPTS", default=10)
STREAMS_MAXLEN = env.int("STREAMS_MAXLEN", default=100_000)
# What consumer groups have not read is kept up to here, and no further.
STREAMS_HARD_MAXLEN = max(
    STREAMS_MAXLEN, env.int("STREAMS_HARD_MAXLEN", default=5 * STREAMS_MAXLEN)
)
# The relay of lifecycle events; no interval switches it off.
RELAY_INTERVAL_MS = env.int("RELAY_INTERVAL_MS", default=1_000)
RELAY_CLAIM_IDLE_SEC = env.int("RELAY_CLAIM_IDLE_SEC", default=60)
RELAY_DEDUPE_WINDOW_SEC = env.int("RELAY_DEDUPE_WINDOW_SEC", default=3_600)
RELAY_CONSUMER_NAME = (
    env("RELAY_CONSUMER_NAME", default="")
    or env("HOSTNAME", default="")
    or "coordinator-relay-0"
)
AUDIT_SEAL_INTERVAL_MS = env.int("AUDIT_SEAL_INTERVAL_MS", default=1_000)
AUDIT_SEAL_BATCH_SIZE = env.int("AUDIT_SEAL_BATCH_SIZE", default=1_000)
AUDIT_LEDGER_BATCH_SIZE = env.int("AUDIT_LEDGER_BATCH_SIZE", default=5_000)
AUDIT_RETENTION_DAYS = env.int("AUDIT_RETENTION_DAYS", default=365)
# How long a shorter retention waits before anything is removed by it.
AUDIT_RETENTION_DELAY_HOURS = env.int("AUDIT_RETENTION_DELAY_HOURS", default=24)
# Not sooner than the decisions of the zone, which name them.
SESSION_RETENTION_DAYS = env.int("SESSION_RETENTION_DAYS", default=30)
WORKER_HEARTBEAT_INTERVAL_MS = env.int("WORKER_HEARTBEAT_INTERVAL_MS", default=5_000)
WORKER_HEARTBEAT_MAX_AGE_SECONDS = env.int(
    "WORKER_HEARTBEAT_MAX_AGE_SECONDS", default=30
)
# How many of its periods a job may be silent before readiness calls it stuck; 0: any.
JOB_STUCK_PERIODS = env.int("JOB_STUCK_PERIODS", default=5)

# --- Celery ----------------------------------------------------------------------

CELERY_BROKER_URL = REDIS_URL
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "visibility_timeout": 300,
    "global_keyprefix": "caracal:celery:",
    "socket_timeout": 10,
    "socket_connect_timeout": 3,
}
CELERY_TIMEZONE = "UTC"
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_TASK_TIME_LIMIT = 300

LOGGING_CONFIG = "caracal_site.logs.configure"
LOGGING: dict[str, object] = {}
