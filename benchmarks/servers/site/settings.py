"""Settings of a variant: the common ones, then those of the file named in the environment."""

import json
import os
from pathlib import Path

DEBUG = False
SECRET_KEY = "a secret that only the benchmarks have"
ALLOWED_HOSTS = ["127.0.0.1"]
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
ROOT_URLCONF = "benchmarks.servers.site.urls"
WSGI_APPLICATION = "benchmarks.servers.site.wsgi.application"

globals().update(json.loads(Path(os.environ["BENCHMARK_SETTINGS"]).read_text()))

if globals().get("BENCHMARK_USER_TRACKING"):
    from benchmarks.servers.site import user_tracking

    user_tracking.patch()
