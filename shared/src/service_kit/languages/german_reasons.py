"""What leads to problems, in German."""

from collections.abc import Mapping
from typing import Final

TEXTS: Final[Mapping[str, str]] = {
    "No account has this id; it may have been deleted.": (
        "Kein Konto hat diese id; vielleicht wurde es gelöscht."
    ),
    "The response of the service behind the gateway breaks the rules of HTTP.": (
        "Die Antwort des Dienstes hinter dem Gateway verletzt die Regeln von HTTP."
    ),
    "The body came more slowly than is allowed, or stopped.": (
        "Der Rumpf kam langsamer, als erlaubt ist, oder blieb aus."
    ),
    "Each route has a largest body.": "Jede Route hat einen größten Rumpf.",
    "Hashing passwords takes time on purpose, and the queue for it is full.": (
        "Passwörter zu hashen dauert mit Absicht, und die Schlange davor ist voll."
    ),
    "Cookies count only in requests that pages of this site or of an allowed"
    " origin make.": (
        "Cookies zählen nur in Anfragen, die Seiten dieser Website oder eines erlaubten"
        " Origins stellen."
    ),
    "There is an account with this e-mail address.": (
        "Es gibt ein Konto mit dieser E-Mail-Adresse."
    ),
    "Here an address is changed by a link that is mailed to the new one.": (
        "Hier wird eine Adresse durch einen Link geändert, den eine Mail an die neue"
        " bringt."
    ),
    "The header Expect asks for something that is not known here.": (
        "Der Header Expect verlangt etwas, das hier niemand kennt."
    ),
    "The user has no such factor, or has removed it.": (
        "Das Konto hat keinen solchen Faktor, oder er wurde entfernt."
    ),
    "The operation asks that the user proved who they are a short while ago.": (
        "Die Operation verlangt, dass man sich vor kurzem ausgewiesen hat."
    ),
    "One header field, or all of them, are larger than the gateway reads.": (
        "Eine Kopfzeile oder alle zusammen sind größer, als das Gateway liest."
    ),
    "Status lists are published for now alone; the parameter time asks for another"
    " moment.": (
        "Statuslisten werden nur für jetzt veröffentlicht; der Parameter time fragt"
        " nach einem anderen Zeitpunkt."
    ),
    "The request line names another major version of HTTP.": (
        "Die Anfragezeile nennt eine andere Hauptversion von HTTP."
    ),
    "The access token is good, but its user has not the role that this needs. No"
    " role includes another.": (
        "Das Access-Token ist gut, aber das Konto hat nicht die Rolle, die es hier"
        " braucht. Keine Rolle schließt eine andere ein."
    ),
    "The service asks for a more recent or a stronger sign-in than the token names.": (
        "Der Dienst verlangt eine neuere oder stärkere Anmeldung, als das Token nennt."
    ),
    "The service met an error that nobody expected.": (
        "Der Dienst stieß auf einen Fehler, den niemand erwartet hat."
    ),
    "The body cannot be parsed, stands under limits of depth and size, or is not"
    " an object.": (
        "Der Rumpf lässt sich nicht lesen, überschreitet Grenzen von Tiefe und Größe,"
        " oder ist kein Objekt."
    ),
    "Introspection is for services that the operator has named, with their secrets.": (
        "Auskunft über Tokens bekommen Dienste, die der Betrieb nennt, mit ihrem"
        " Geheimnis."
    ),
    "The user does not exist, the password is wrong, or the account is disabled:"
    " which of them is not told.": (
        "Das Konto gibt es nicht, das Passwort ist falsch, oder das Konto ist gesperrt:"
        " welches davon, wird nicht gesagt."
    ),
    "A member of the body, or a parameter of the URL, is missing, unknown, of"
    " another type or not acceptable.": (
        "Ein Feld des Rumpfs oder ein Parameter der URL fehlt, ist unbekannt, hat einen"
        " anderen Typ oder ist nicht annehmbar."
    ),
    "The refresh token is malformed, its session has ended, or the token was used"
    " before, which ends its session.": (
        "Das Refresh-Token ist missgebildet, seine Sitzung ist beendet, oder es wurde"
        " schon benutzt, was seine Sitzung beendet."
    ),
    "Its head, its form or a header field breaks a rule of HTTP or of this API.": (
        "Ihr Kopf, ihre Form oder eine Kopfzeile verletzt eine Regel von HTTP oder"
        " dieser API."
    ),
    "The access token has expired, was revoked, or was not issued for this service.": (
        "Das Access-Token ist abgelaufen, wurde widerrufen, oder ist nicht für diesen"
        " Dienst ausgestellt."
    ),
    "Some clients call every body a form unless they are told: curl -d does.": (
        "Manche Clients nennen jeden Rumpf ein Formular, wenn ihnen niemand etwas"
        " anderes sagt: curl -d zum Beispiel."
    ),
    "Without this account nobody could administer the others any more.": (
        "Ohne dieses Konto könnte niemand mehr die anderen verwalten."
    ),
    "The header Via names this gateway already.": (
        "Der Header Via nennt dieses Gateway schon."
    ),
    "The path exists, but not for this method.": (
        "Den Pfad gibt es, aber nicht für diese Methode."
    ),
    "The resource is for callers with an access token, and the request carries none.": (
        "Die Ressource ist für Anfragen mit einem Access-Token, und diese bringt keines"
        " mit."
    ),
    "The service took longer than the route's timeouts allow.": (
        "Der Dienst brauchte länger, als die Fristen der Route erlauben."
    ),
    "No route or no resource has this path.": (
        "Keine Route und keine Ressource hat diesen Pfad."
    ),
    "The request asks for a part of HTTP that is not supported here.": (
        "Die Anfrage verlangt einen Teil von HTTP, den es hier nicht gibt."
    ),
    "The operator has configured no mail server (IDENTITY_MAIL_URL), or a setting"
    " turns this off.": (
        "Der Betrieb hat keinen Mailserver eingerichtet (IDENTITY_MAIL_URL), oder eine"
        " Einstellung schaltet es ab."
    ),
    "The process starts, stops, or lacks something it depends on.": (
        "Der Prozess startet, endet, oder ihm fehlt etwas, das er braucht."
    ),
    "The session was idle for too long, or has reached its longest life.": (
        "Die Sitzung war zu lange unbenutzt, oder hat ihr höchstes Alter erreicht."
    ),
    "Neither the body nor a cookie holds a refresh token.": (
        "Weder im Rumpf noch in einem Cookie steht ein Refresh-Token."
    ),
    "A connection that sends its request too slowly is closed, so that it takes no"
    " place from others.": (
        "Eine Verbindung, die ihre Anfrage zu langsam sendet, wird geschlossen, damit"
        " sie anderen keinen Platz nimmt."
    ),
    "Names of roles are unique.": "Namen von Rollen sind einmalig.",
    "A role that users have cannot be removed.": (
        "Eine Rolle, die Konten haben, lässt sich nicht entfernen."
    ),
    "The product itself, or a setting, gives or asks for this role.": (
        "Das Produkt selbst oder eine Einstellung vergibt oder verlangt diese Rolle."
    ),
    "The role has been removed, or never was.": (
        "Die Rolle wurde entfernt, oder es gab sie nie."
    ),
    "Only roles that IDENTITY_SELF_ASSIGNABLE_ROLES names can be taken at sign-up.": (
        "Beim Anlegen eines Kontos stehen nur die Rollen frei, die"
        " IDENTITY_SELF_ASSIGNABLE_ROLES nennt."
    ),
    "The account has a second factor. The password may have been right or not.": (
        "Das Konto hat einen zweiten Faktor. Das Passwort kann richtig gewesen sein"
        " oder nicht."
    ),
    "The session has ended, or is not one of the caller's.": (
        "Die Sitzung ist beendet, oder gehört zu einem anderen Konto."
    ),
    "The request line is longer than the gateway reads.": (
        "Die Anfragezeile ist länger, als das Gateway liest."
    ),
    "The database does not respond, or there is no signing key that may sign now.": (
        "Die Datenbank antwortet nicht, oder es gibt keinen Schlüssel, der jetzt"
        " signieren darf."
    ),
    "The token or the code of a mail is wrong, has been used, or has expired.": (
        "Das Token oder der Code einer Mail ist falsch, wurde schon benutzt, oder ist"
        " abgelaufen."
    ),
    "There were more attempts than are allowed from one address, for one account"
    " or for both.": (
        "Es gab mehr Versuche, als von einer Adresse, für ein Konto oder für beide"
        " erlaubt sind."
    ),
    "The gateway, or this client, has as many connections as it may have.": (
        "Das Gateway oder dieser Client hat so viele Verbindungen, wie es sein dürfen."
    ),
    "The user has as many passkeys as one may have.": (
        "Das Konto hat so viele Passkeys, wie es sein dürfen."
    ),
    "This client has used up what the route allows in its time; RateLimit-Policy"
    " names both.": (
        "Dieser Client hat verbraucht, was die Route in ihrer Zeit erlaubt;"
        " RateLimit-Policy nennt beides."
    ),
    "An access token with every role has to fit into a header, so their number is"
    " bounded.": (
        "Ein Access-Token mit allen Rollen muss in einen Header passen, darum ist ihre"
        " Zahl begrenzt."
    ),
    "A user has one authenticator app at most.": (
        "Ein Konto hat höchstens eine Authenticator-App."
    ),
    "Every replica of the service is at its limit or unhealthy.": (
        "Jede Replik des Dienstes ist an ihrer Grenze oder nicht gesund."
    ),
    "The request names a role that nobody has made.": (
        "Die Anfrage nennt eine Rolle, die niemand angelegt hat."
    ),
    "No replica of the service took the request.": (
        "Keine Replik des Dienstes nahm die Anfrage an."
    ),
    "A small compressed body may become a huge one, so none is read.": (
        "Ein kleiner komprimierter Rumpf kann riesig werden, darum wird keiner gelesen."
    ),
    "The header Content-Type is missing or names a media type that is not read here.": (
        "Der Header Content-Type fehlt, oder nennt einen Medientyp, der hier nicht"
        " gelesen wird."
    ),
    "The hint token_type_hint names a kind of token that does not exist here.": (
        "Der Hinweis token_type_hint nennt eine Art von Token, die es hier nicht gibt."
    ),
    "Somebody has this username, or one that looks like it: case, accents and"
    " look-alike letters do not count.": (
        "Jemand hat diesen Benutzernamen, oder einen, der so aussieht: Groß und klein,"
        " Akzente und ähnliche Buchstaben zählen nicht."
    ),
    "The service has no current signing keys or status lists of the issuer, and"
    " without them judges no token.": (
        "Der Dienst hat keine gültigen Schlüssel oder Statuslisten des Ausstellers, und"
        " beurteilt ohne sie kein Token."
    ),
    "A change of the password asks for the present one, and another was sent.": (
        "Wer das Passwort ändert, nennt das jetzige, und gesendet wurde ein anderes."
    ),
    "The password or code is wrong, was used before, or is too old.": (
        "Das Passwort oder der Code ist falsch, wurde schon benutzt, oder ist zu alt."
    ),
}
