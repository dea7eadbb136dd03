"""Uses the Python client that was made of the API's document."""

import json
import sys

from gatehouse_client import AuthenticatedClient, Client
from gatehouse_client.api.administration import list_users
from gatehouse_client.api.content import read_user
from gatehouse_client.api.my_account import show_me
from gatehouse_client.api.signing_in import sign_in, sign_up
from gatehouse_client.models import (
    ProblemBody,
    SignInBody,
    SignInPayload,
    SignUpPayload,
    UserBody,
)

PASSWORD = "a lamp, a fern, a quiet river"

url = sys.argv[1]
visitor = Client(base_url=url)
account = SignUpPayload("client", "client@example.com", PASSWORD)
sign_up.sync(client=visitor, body=account)
signed_in = sign_in.sync(client=visitor, body=SignInPayload("client", PASSWORD))
assert isinstance(signed_in, SignInBody)
user = AuthenticatedClient(base_url=url, token=str(signed_in.access_token))
me = show_me.sync(client=user)
assert isinstance(me, UserBody)
refused = list_users.sync(client=user, limit=1)
assert isinstance(refused, ProblemBody)
text = read_user.sync(client=user)
sys.stdout.write(json.dumps([signed_in.roles, me.email, text, refused.code]))
