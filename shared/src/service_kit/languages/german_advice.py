"""What to do about problems, in German."""

from collections.abc import Mapping
from typing import Final

TEXTS: Final[Mapping[str, str]] = {
    "List the accounts and use the id of one.": (
        "Die Konten auflisten und die id von einem nehmen."
    ),
    "Tell the operator: a replica sends malformed responses.": (
        "Dem Betrieb Bescheid geben: Eine Replik sendet fehlerhafte Antworten."
    ),
    "Send the whole body sooner, on a new connection.": (
        "Den ganzen Rumpf schneller senden, auf einer neuen Verbindung."
    ),
    "Send less, or ask the operator for a larger limit of the route.": (
        "Weniger senden, oder den Betrieb um eine höhere Grenze der Route bitten."
    ),
    "Try again after Retry-After. More replicas or cores sign in more people.": (
        "Nach der Zeit in Retry-After noch einmal versuchen. Mehr Repliken oder Kerne"
        " melden mehr Menschen an."
    ),
    "Open the page under the host name of the API, let the service's ALLOWED_ORIGINS"
    " name its origin (IDENTITY_ALLOWED_ORIGINS), or send the token in a header.": (
        "Die Seite unter dem Hostnamen der API öffnen, ihren Origin in ALLOWED_ORIGINS"
        " des Dienstes nennen (IDENTITY_ALLOWED_ORIGINS), oder das Token in einem"
        " Header senden."
    ),
    "Use another e-mail address, or sign in to the account that has it.": (
        "Eine andere E-Mail-Adresse nehmen, oder sich mit dem Konto anmelden, das sie"
        " hat."
    ),
    "Use POST /api/users/me/email.": "POST /api/users/me/email benutzen.",
    "Send no other Expect header.": "Keinen anderen Header Expect senden.",
    "GET /api/users/me/factors lists those that there are.": (
        "GET /api/users/me/factors nennt die, die es gibt."
    ),
    "POST the password or a second factor to /api/users/me/fresh, then try again.": (
        "Das Passwort oder einen zweiten Faktor per POST an /api/users/me/fresh senden,"
        " dann noch einmal versuchen."
    ),
    "Send fewer or shorter headers and cookies.": (
        "Weniger oder kürzere Kopfzeilen und Cookies senden."
    ),
    "Leave out the parameter time.": "Den Parameter time weglassen.",
    "Use HTTP/1.1.": "HTTP/1.1 benutzen.",
    "Ask an admin for the role that the message names, then refresh the access"
    " token.": (
        "Jemanden mit der Rolle admin um die Rolle bitten, die die Meldung nennt, dann"
        " das Access-Token erneuern."
    ),
    "Have the user do what WWW-Authenticate asks for (RFC 9470): with max_age,"
    " POST /api/users/me/fresh; with acr_values, sign in with a second factor."
    " Then refresh the access token.": (
        "Tun, was WWW-Authenticate verlangt (RFC 9470): bei max_age POST"
        " /api/users/me/fresh, bei acr_values eine Anmeldung mit zweitem Faktor. Danach"
        " das Access-Token erneuern."
    ),
    "Give the operator the request id; the log holds the reason under it.": (
        "Dem Betrieb die Request-Id geben; unter ihr steht der Grund im Log."
    ),
    "Send one JSON object in UTF-8, without duplicate members.": (
        "Ein JSON-Objekt in UTF-8 senden, ohne doppelte Felder."
    ),
    "Use HTTP Basic with a client that IDENTITY_INTROSPECTION_CLIENTS names.": (
        "HTTP Basic mit einem Client benutzen, den IDENTITY_INTROSPECTION_CLIENTS"
        " nennt."
    ),
    "Try again with the right ones. A disabled account gets the same response.": (
        "Mit den richtigen noch einmal versuchen. Ein gesperrtes Konto bekommt dieselbe"
        " Antwort."
    ),
    "Correct each field that the member errors names, by its code.": (
        "Jedes Feld berichtigen, das errors nennt, nach seinem code."
    ),
    "Sign in again: the session has ended, or the token was used before.": (
        "Neu anmelden: Die Sitzung ist beendet, oder das Token wurde schon benutzt."
    ),
    "Correct what the message names; the same request fails again.": (
        "Berichtigen, was die Meldung nennt; dieselbe Anfrage scheitert wieder."
    ),
    "Refresh the access token; if that is refused too, sign in again.": (
        "Das Access-Token erneuern; wird auch das abgelehnt, neu anmelden."
    ),
    "Send the header Content-Type: application/json.": (
        "Den Header Content-Type: application/json senden."
    ),
    "Give another user the role admin, then try again.": (
        "Einem anderen Konto die Rolle admin geben, dann noch einmal versuchen."
    ),
    "The operator looks for an upstream that leads back to the gateway. Two"
    " gateways in a row need two names: set `pseudonym`.": (
        "Der Betrieb sucht einen Upstream, der zum Gateway zurückführt. Zwei Gateways"
        " hintereinander brauchen zwei Namen: `pseudonym` setzen."
    ),
    "Use a method that the header Allow names.": (
        "Eine Methode benutzen, die der Header Allow nennt."
    ),
    "Sign in and send the access token. The status is 403 under TUTORIAL_COMPAT.": (
        "Sich anmelden und das Access-Token senden. Unter TUTORIAL_COMPAT ist der"
        " Status 403."
    ),
    "Try again. The operator looks at the upstream's load and its timeouts.": (
        "Noch einmal versuchen. Der Betrieb sieht nach der Last des Upstreams und nach"
        " seinen Fristen."
    ),
    "Check the path, and the gateway's routes.": (
        "Den Pfad prüfen, und die Routen des Gateways."
    ),
    "Use plain HTTP/1.1 requests: no CONNECT, no transfer coding but chunked.": (
        "Einfache HTTP/1.1-Anfragen senden: kein CONNECT, kein Transfer-Encoding außer"
        " chunked."
    ),
    "Ask the operator for it, or do without.": (
        "Den Betrieb darum bitten, oder ohne auskommen."
    ),
    "The member faults names the reasons. Seen on the internal port alone.": (
        "Das Feld faults nennt die Gründe. Nur am internen Port zu sehen."
    ),
    "Sign in again.": "Neu anmelden.",
    "Send the refresh token in the body or in its cookie.": (
        "Das Refresh-Token im Rumpf oder in seinem Cookie senden."
    ),
    "Send the whole request sooner, on a new connection.": (
        "Die ganze Anfrage schneller senden, auf einer neuen Verbindung."
    ),
    "Use the role that is there, or choose another name.": (
        "Die Rolle nehmen, die da ist, oder einen anderen Namen wählen."
    ),
    "Take the role from every user who has it, then try again.": (
        "Die Rolle jedem Konto nehmen, das sie hat, dann noch einmal versuchen."
    ),
    "Leave the role, or take its name out of the settings first.": (
        "Die Rolle lassen, oder ihren Namen erst aus den Einstellungen nehmen."
    ),
    "List the roles and use the name of one.": (
        "Die Rollen auflisten und den Namen von einer nehmen."
    ),
    "Sign up without the role; an admin assigns it.": (
        "Das Konto ohne die Rolle anlegen; jemand mit der Rolle admin vergibt sie."
    ),
    "POST the challenge with a code, or with what a passkey signed, to"
    " /api/auth/signin/second-factor within five minutes. The response does not"
    " say whether the password was right.": (
        "Innerhalb von fünf Minuten die challenge mit einem Code, oder mit dem, was ein"
        " Passkey unterschrieben hat, per POST an /api/auth/signin/second-factor"
        " senden. Die Antwort sagt nicht, ob das Passwort richtig war."
    ),
    "List the sessions and use the id of a live one.": (
        "Die Sitzungen auflisten und die id einer lebenden nehmen."
    ),
    "Shorten the path and the query.": "Den Pfad und die Parameter kürzen.",
    "Try again after Retry-After. The operator looks at the database.": (
        "Nach der Zeit in Retry-After noch einmal versuchen. Der Betrieb sieht nach der"
        " Datenbank."
    ),
    "Have a new mail sent: a token is good once, and for as long as the mail says.": (
        "Eine neue Mail anfordern: Ein Token gilt einmal, und so lange, wie die Mail"
        " sagt."
    ),
    "Wait as long as Retry-After says.": "So lange warten, wie Retry-After sagt.",
    "Use fewer connections. The operator sets the limits of a process and of a"
    " client.": (
        "Weniger Verbindungen benutzen. Die Grenzen von Prozess und Client setzt der"
        " Betrieb."
    ),
    "Remove a passkey that is not used any more.": (
        "Einen Passkey entfernen, der nicht mehr benutzt wird."
    ),
    "Wait as long as Retry-After says. The operator sets the limit of the route.": (
        "So lange warten, wie Retry-After sagt. Die Grenze der Route setzt der Betrieb."
    ),
    "Remove a role that nobody needs.": "Eine Rolle entfernen, die niemand braucht.",
    "DELETE /api/users/me/totp, then enrol the other app.": (
        "DELETE /api/users/me/totp, dann die andere App einrichten."
    ),
    "Try again. The operator looks at the upstream's replicas.": (
        "Noch einmal versuchen. Der Betrieb sieht nach den Repliken des Upstreams."
    ),
    "Send the body without Content-Encoding.": (
        "Den Rumpf ohne Content-Encoding senden."
    ),
    "Send the header Content-Type with a media type that the message names.": (
        "Den Header Content-Type mit einem Medientyp senden, den die Meldung nennt."
    ),
    "Send one of these; the hint is access_token or refresh_token.": (
        "Eines von diesen senden; der Hinweis ist access_token oder refresh_token."
    ),
    "Choose another username; one that only looks like a taken one is taken too.": (
        "Einen anderen Benutzernamen wählen; einer, der nur so aussieht wie ein"
        " vergebener, ist auch vergeben."
    ),
    "Try again. The operator checks that the service reaches the issuer.": (
        "Noch einmal versuchen. Der Betrieb prüft, ob der Dienst den Aussteller"
        " erreicht."
    ),
    "Send the user's present password as currentPassword.": (
        "Das jetzige Passwort des Kontos als currentPassword senden."
    ),
    "Send the user's password, a new code of their authenticator app, a recovery"
    " code that was not used, or what a passkey of theirs signed.": (
        "Das Passwort des Kontos, einen neuen Code seiner Authenticator-App, einen"
        " unbenutzten Wiederherstellungscode, oder das senden, was ein Passkey des"
        " Kontos unterschrieben hat."
    ),
}
