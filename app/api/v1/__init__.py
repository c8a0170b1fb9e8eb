"""Version 1 of the API: one module a noun."""

from app.api.v1 import (
    clusters,
    connections,
    decisions,
    declaring,
    files,
    health,
    ingestions,
    notify,
    planning,
    rejects,
    runs,
)

routers = [
    ingestions.router,
    ingestions.keyed,
    declaring.router,
    declaring.keyed,
    planning.router,
    runs.router,
    runs.keyed,
    files.router,
    rejects.router,
    decisions.router,
    notify.router,
    connections.router,
    connections.keyed,
    clusters.router,
    clusters.keyed,
    health.router,
]
