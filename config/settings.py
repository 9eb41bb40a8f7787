"""Settings, read from the environment (and a `.env` file); `.env.example` lists every one.

Each falls back on its own, so that nothing at all has to be set to try Pointsmith: PostgreSQL comes from a wheel,
the cache and the queue live in this process and in `var/`, and the secret key is made once and kept there.
"""

import os
from pathlib import Path
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.templatetags.static import static

from config.environment import Environment
from config.file_queue import SCHEME as FILE_QUEUE
from config.origins import read_origins
from config.rate_limit import read_rate_limit
from config.replicas import read_replicas, replica_settings
from config.secret_key import check_secret_key, development_secret_key
from core.embedded_postgres import EmbeddedPostgres

BASE_DIR = Path(__file__).resolve().parent.parent

env = Environment()
env.read_env(BASE_DIR / ".env")

VAR_DIR = Path(env.str("VAR_DIR", default=str(BASE_DIR / "var")))
VAR_DIR.mkdir(parents=True, exist_ok=True)

# --- Development or production ---------------------------------------------------------------------------------------
PRODUCTION = env.switch("PRODUCTION")
DEBUG = env.switch("DEBUG")
SECRET_KEY = env.str("SECRET_KEY", default="")
# Keys of before: what they signed or encrypted can still be read.
SECRET_KEY_FALLBACKS = env.list("SECRET_KEY_FALLBACKS", default=[])
PUBLIC_URL = env.str("PUBLIC_URL", default="").rstrip("/")
if PRODUCTION:
    if DEBUG:
        raise ImproperlyConfigured("DEBUG must be off when PRODUCTION is on: it shows settings to strangers.")
    check_secret_key(SECRET_KEY)
    if not PUBLIC_URL.startswith("https://"):
        raise ImproperlyConfigured("PRODUCTION needs PUBLIC_URL, the https:// address that users reach this server by.")
SECRET_KEY = SECRET_KEY or development_secret_key(VAR_DIR)
PUBLIC_URL = PUBLIC_URL or f"http://127.0.0.1:{env.whole('PORT', default=8000, at_least=1, at_most=65_535)}"

ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=[PUBLIC_URL.split("//")[1].split(":")[0]] if PRODUCTION else ["*"])
CSRF_TRUSTED_ORIGINS = [PUBLIC_URL]
# Whose pages may call `/v1` from a browser, with a key.
CORS_ALLOWED_ORIGINS = read_origins(env.list("CORS_ALLOWED_ORIGINS", default=[]))
BEHIND_PROXY = env.switch("BEHIND_PROXY")
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if BEHIND_PROXY else None
# How many proxies add to X-Forwarded-For before a request arrives: the outermost of them is counted from its end.
PROXY_COUNT = env.whole("PROXY_COUNT", default=1 if BEHIND_PROXY else 0, at_least=0)
SECURE_SSL_REDIRECT = env.switch("SECURE_SSL_REDIRECT")
SECURE_HSTS_SECONDS = env.whole("SECURE_HSTS_SECONDS", default=31_536_000 if PRODUCTION else 0, at_least=0)
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = PRODUCTION
SILENCED_SYSTEM_CHECKS = [
    "security.W005",  # what holds for other subdomains is not for one service to say
    "security.W008",  # the redirect to https is the proxy's, or SECURE_SSL_REDIRECT's
    "security.W021",  # nor is entering a whole domain in browsers' lists
]

# --- Applications ----------------------------------------------------------------------------------------------------
INSTALLED_APPS = [
    "unfold",
    "unfold.contrib.filters",
    "unfold.contrib.import_export",
    "django.contrib.admin",
    "access",  # before the next, whose command `createsuperuser` it replaces
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "import_export",
    "simple_history",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "core",
    "users",
    "webhooks",
    "metrics",
    "streaks",
    "achievements",
    "points",
    "boosts",
    "levels",
    "engine",
    "analytics",
    "imports",
    "preview",
    "api",
    "backoffice",
    "config",
]

MIDDLEWARE = [
    "api.middleware.ApiMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "core.middleware.OperatorMiddleware",
    "core.middleware.ReadableMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "config.urls"
APPEND_SLASH = False
CSRF_FAILURE_VIEW = "core.refused.csrf_failure"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
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

# --- Database --------------------------------------------------------------------------------------------------------
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
EMBEDDED_POSTGRES = EmbeddedPostgres(VAR_DIR)
EMBEDDED = not env.str("DATABASE_URL", default="")
if not EMBEDDED:
    DATABASES = {"default": env.db_url("DATABASE_URL")}
else:
    DATABASES = {"default": {"ENGINE": "core.embedded_backend", **EMBEDDED_POSTGRES.connection_settings()}}
# A web process has threads that wait for others' events: all share a few connections.
WEB_PROCESS = os.environ.get("WEB_PROCESS") == "true"  # as config/asgi.py says, and nobody else
DATABASE_POOL_MAX = env.whole("DATABASE_POOL_MAX", default=8, at_least=2, why="events have a connection of their own")
# In front of PostgreSQL: PgBouncer with transaction pooling, where two statements of a session may meet two servers.
DATABASE_POOLER = env.str("DATABASE_POOLER", default="")
if DATABASE_POOLER not in ("", "pgbouncer"):
    raise ImproperlyConfigured("DATABASE_POOLER must be pgbouncer, or empty where nothing stands before PostgreSQL.")
# Statements are prepared when they come again; PgBouncer keeps them apart from 1.21 on, and only if it is told to.
PREPARE_THRESHOLD = env.whole("PREPARE_THRESHOLD", default=-1 if DATABASE_POOLER else 3, at_least=-1)
# `reconnect_timeout`: or else the pool of a server that is away tries again ever more rarely, and does not notice for
# minutes that it is back. So each request that waits for a connection has the pool try.
_POOL = {"min_size": 0, "max_size": DATABASE_POOL_MAX, "timeout": 5, "reconnect_timeout": 1}
_CONNECTING: dict[str, Any] = {
    "CONN_MAX_AGE": 0 if WEB_PROCESS else None,
    # Outside of a transaction a cursor would stay behind on a server that the next statement need not meet.
    "DISABLE_SERVER_SIDE_CURSORS": bool(DATABASE_POOLER),
    "OPTIONS": {
        **({"pool": _POOL} if WEB_PROCESS else {}),
        "server_side_binding": True,
        "prepare_threshold": None if PREPARE_THRESHOLD < 0 else PREPARE_THRESHOLD,
    },
}
DATABASES["default"] |= _CONNECTING | {"OPTIONS": {**_CONNECTING["OPTIONS"], **DATABASES["default"].get("OPTIONS", {})}}

# Streaming replicas of that database, which take reads that may be a little old: summaries and the admin's figures.
REPLICA_LAG_MAX_S = env.positive("REPLICA_LAG_MAX_S", default=5, why="no replica is ever quite up to date")
REPLICAS = read_replicas(env.list("REPLICA_URLS", default=[]), embedded=EMBEDDED)
DATABASES |= {alias: replica_settings(server, _CONNECTING) for alias, server in REPLICAS.items()}
DATABASE_ROUTERS = ["core.replica.ReplicaRouter"] if REPLICAS else []
# The apps whose models hold no configuration, no keys, and nothing that a caller reads back.
REPLICA_APPS = {"analytics"}

# How many events may wait for their turn in each web process; more are answered 503.
EVENTS_WAITING_MAX = env.whole("EVENTS_WAITING_MAX", default=500, at_least=1)
# How many other requests of the API each web process works on at a time, and how many pages of the admin. Pages may
# hold a connection for long, as exports do: by default some are always left for the API.
WEB_THREADS = env.whole("WEB_THREADS", default=32, at_least=1)
WEB_PAGE_THREADS = env.whole("WEB_PAGE_THREADS", default=max(1, DATABASE_POOL_MAX - 3), at_least=1)
# How many connections of clients each web process holds open, whether they send anything or not; more wait.
WEB_CONNECTIONS_MAX = env.whole(
    "WEB_CONNECTIONS_MAX", default=4096, at_least=128, why="clients keep connections that rest"
)
# How long the whole body of a request may take to arrive, and the file that an operator uploads.
BODY_S_MAX = env.positive("BODY_S_MAX", default=10)
UPLOAD_S_MAX = env.positive("UPLOAD_S_MAX", default=300)
# How long a client may take to accept the next part of an answer.
SEND_S_MAX = env.positive("SEND_S_MAX", default=60)

# --- Cache and queue -------------------------------------------------------------------------------------------------
REDIS_URL = env.str("REDIS_URL", default="")
if REDIS_URL:
    CACHES = {"default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": REDIS_URL}}
else:
    CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}

CELERY_QUEUE_DIR = VAR_DIR / "celery"
CELERY_BROKER_URL = REDIS_URL or f"{FILE_QUEUE}://localhost//"
CELERY_BROKER_TRANSPORT_OPTIONS = (
    {}
    if REDIS_URL
    else {
        "data_folder_in": str(CELERY_QUEUE_DIR / "queue"),
        "data_folder_out": str(CELERY_QUEUE_DIR / "queue"),
        "control_folder": str(CELERY_QUEUE_DIR / "control"),
    }
)
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_TASK_IGNORE_RESULT = True
CELERY_TIMEZONE = "UTC"
CELERY_BEAT_SCHEDULE_FILENAME = str(CELERY_QUEUE_DIR / "beat-schedule")
# How often the clock looks, and so how long it may take to stop, in seconds.
CELERY_BEAT_MAX_LOOP_INTERVAL = 1
# After downtime, this many of the newest missed payments of a time trigger are made.
TIME_TRIGGER_CATCHUP = env.whole(
    "TIME_TRIGGER_CATCHUP", default=24, at_least=1, why="with 0 no time trigger would ever pay"
)


def _every(seconds: int, task: str) -> dict[str, object]:
    """Return a task's place in the schedule: one that still waits when the next is due is dropped."""
    return {"task": task, "schedule": seconds, "options": {"expires": seconds}}


CELERY_BEAT_SCHEDULE = {
    "clear-expired-sessions": _every(24 * 60 * 60, "core.tasks.clear_expired_sessions"),
    "forget-old-submissions": _every(5 * 60, "core.tasks.forget_old_submissions"),
    "end-streaks": _every(60, "engine.tasks.end_streaks"),
    "mark-boosts": _every(15, "engine.tasks.mark_boosts"),
    "empty-attributes": _every(5, "engine.tasks.empty_attributes"),
    "look-back": _every(5, "engine.tasks.look_back"),
    "tell-levels": _every(5, "engine.tasks.tell_levels"),
    "pay-time-triggers": _every(10, "engine.tasks.pay_time_triggers"),
    "prune-rejected-events": _every(60 * 60, "engine.tasks.prune_rejected_events"),
    "prune-webhook-log": _every(5 * 60, "webhooks.tasks.prune_log"),
    "fold-deltas": _every(15, "analytics.tasks.fold_deltas"),
    "roll-up": _every(2, "analytics.tasks.roll_up"),
    "work-on-imports": _every(2, "imports.tasks.work_on"),
    "work-on-backtests": _every(2, "preview.tasks.work_on"),
    "cancel-forgotten-imports": _every(24 * 60 * 60, "imports.tasks.cancel_forgotten"),
}

# --- Webhooks --------------------------------------------------------------------------------------------------------
# Hosts inside the network that messages may go to all the same.
WEBHOOK_ALLOWED_HOSTS = {host.lower() for host in env.list("WEBHOOK_ALLOWED_HOSTS", default=[])}
# How long what was sent can be looked at and replayed.
WEBHOOK_LOG_DAYS = env.whole(
    "WEBHOOK_LOG_DAYS", default=30, at_least=1, why="what still waits to be sent is kept in the log"
)

# --- Time and language -----------------------------------------------------------------------------------------------
LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = True
# What forms read: YYYY-MM-DD alone.
FORMAT_MODULE_PATH = "config.formats"

# --- Operators -------------------------------------------------------------------------------------------------------
LOGIN_URL = "admin:login"
LOGIN_REDIRECT_URL = "admin:index"
# How often strangers may try to log in; None for no limit.
LOGIN_RATE_ADDRESS = read_rate_limit("LOGIN_RATE_ADDRESS", env.str("LOGIN_RATE_ADDRESS", default="30/5 minute"))
LOGIN_RATE_NAME = read_rate_limit("LOGIN_RATE_NAME", env.str("LOGIN_RATE_NAME", default="10/minute"))
AUTH_PASSWORD_VALIDATORS = [
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 12},
    },
    {"NAME": "access.passwords.GuessablePasswordValidator"},
]

# --- Files -----------------------------------------------------------------------------------------------------------
STATIC_URL = "/static/"
STATIC_ROOT = VAR_DIR / "static"
STATIC_ROOT.mkdir(exist_ok=True)
WHITENOISE_USE_FINDERS = not PRODUCTION
MEDIA_URL = "/media/"
MEDIA_ROOT = VAR_DIR / "media"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"
        if PRODUCTION
        else "django.contrib.staticfiles.storage.StaticFilesStorage"
    },
}

# --- API -------------------------------------------------------------------------------------------------------------
# The API's limit, and the admin's but for uploaded files.
DATA_UPLOAD_MAX_MEMORY_SIZE = 1_000_000
# A draft of rules has three fields for each trigger.
DATA_UPLOAD_MAX_NUMBER_FIELDS = 10_000
# How often each key may call; None for no limit.
RATE_LIMIT_ADMIN_KEY = read_rate_limit("RATE_LIMIT_ADMIN_KEY", env.str("RATE_LIMIT_ADMIN_KEY", default=""))
RATE_LIMIT_APPLICATION_KEY = read_rate_limit(
    "RATE_LIMIT_APPLICATION_KEY", env.str("RATE_LIMIT_APPLICATION_KEY", default="")
)
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["api.authentication.ApiKeyAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated", "api.scope.InScope"],
    "DEFAULT_RENDERER_CLASSES": ["api.http.ExactJsonRenderer"],
    "DEFAULT_PARSER_CLASSES": [],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "api.http.AlwaysJson",
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "api.errors.handle_exception",
    "UNAUTHENTICATED_USER": None,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Pointsmith",
    "DESCRIPTION": "Report what your users do, get back the points it earned. Works with the official Trophy SDKs.",
    "VERSION": "0.1.0",
    "OAS_VERSION": "3.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PUBLIC": True,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SERVE_AUTHENTICATION": [],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    "POSTPROCESSING_HOOKS": ["api.openapi.complete_schema"],
}

# --- Look of the admin -----------------------------------------------------------------------------------------------
UNFOLD = {
    "SITE_TITLE": "Pointsmith",
    "SITE_HEADER": "Pointsmith",
    "SITE_SUBHEADER": "Points engine",
    "SITE_SYMBOL": "trophy",
    "SITE_FAVICONS": [
        {"rel": "icon", "type": "image/svg+xml", "href": lambda request: static("backoffice/favicon.svg")},
    ],
    "SHOW_HISTORY": True,
    "SHOW_VIEW_ON_SITE": False,
    "STYLES": [
        lambda request: static("backoffice/admin.css"),
        lambda request: static("backoffice/analytics.css"),
        lambda request: static("backoffice/long_names.css"),
    ],
    "SCRIPTS": [
        lambda request: static("backoffice/charts.js"),
        lambda request: static("backoffice/forms.js"),
        lambda request: static("backoffice/long_names.js"),
        lambda request: static("backoffice/typed_before.js"),
    ],
    "TABS": "backoffice.navigation.tabs",
    "DASHBOARD_CALLBACK": "backoffice.dashboard.dashboard",
    "SIDEBAR": {
        "show_search": False,
        "navigation": "backoffice.navigation.sidebar",
    },
}

# --- Log -------------------------------------------------------------------------------------------------------------
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "{asctime} {levelname} {name}: {message}", "style": "{"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": env.str("LOG_LEVEL", default="INFO")},
    "loggers": {"django.request": {"level": "ERROR"}, "httpx": {"level": "WARNING"}},
}
