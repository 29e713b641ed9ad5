"""The REST interface: routes, authentication, problems, OpenAPI."""
