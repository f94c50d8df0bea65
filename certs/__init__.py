"""Issues the TLS certificates of the platform's services and brings them to Kubernetes.

`python -m certs issue | show | apply`; README.md in this folder tells more.
"""
