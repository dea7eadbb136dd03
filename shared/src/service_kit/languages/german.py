"""The German translations, by English template."""

from collections.abc import Mapping
from typing import Final

TEXTS: Final[Mapping[str, str]] = {
    # Durations
    "{amount} days": "{amount} Tagen",
    "{amount} hours": "{amount} Stunden",
    "{amount} minutes": "{amount} Minuten",
    "{amount} seconds": "{amount} Sekunden",
    "1 second": "1 Sekunde",
    # Requests
    "The request is not valid.": "Die Anfrage ist nicht gültig.",
    "The request ended before its end.": "Die Anfrage hörte vor ihrem Ende auf.",
    "Max-Forwards is not one number.": "Max-Forwards ist nicht eine Zahl.",
    "The body is not valid JSON.": "Der Rumpf ist kein gültiges JSON.",
    "The body is not a valid JSON object.": "Der Rumpf ist kein gültiges JSON-Objekt.",
    "The body is not a valid form.": "Der Rumpf ist kein gültiges Formular.",
    "The body could not be read.": "Der Rumpf ließ sich nicht lesen.",
    "The body is JSON, but the header Content-Type says that it is a form.": (
        "Der Rumpf ist JSON, aber Content-Type nennt ihn ein Formular."
    ),
    "The body must be {accepted}.": "Der Rumpf muss {accepted} sein.",
    "{one} or {other}": "{one} oder {other}",
    "The body must not be compressed.": "Der Rumpf darf nicht komprimiert sein.",
    "The body did not arrive in time.": "Der Rumpf kam nicht rechtzeitig an.",
    "The body is too large.": "Der Rumpf ist zu groß.",
    "The request did not come in time.": "Die Anfrage kam nicht rechtzeitig an.",
    "The request target is too long.": "Das Ziel der Anfrage ist zu lang.",
    "The header fields are too large.": "Die Kopfzeilen sind zu groß.",
    "Only 100-continue can be expected.": "Nur 100-continue kann erwartet werden.",
    "There is nothing here.": "Hier ist nichts.",
    "This method is not allowed here.": "Diese Methode ist hier nicht erlaubt.",
    "This is not supported.": "Das wird nicht unterstützt.",
    "Only HTTP/1 is spoken here.": "Hier wird nur HTTP/1 gesprochen.",
    "There were too many requests. Please try again in {wait}.": (
        "Das waren zu viele Anfragen. Bitte in {wait} noch einmal versuchen."
    ),
    # Services
    "Something went wrong.": "Etwas ist schiefgegangen.",
    "The service gave no usable answer.": "Der Dienst gab keine brauchbare Antwort.",
    "The service could not be reached. Please try again.": (
        "Der Dienst war nicht erreichbar. Bitte noch einmal versuchen."
    ),
    "This service is not available at the moment. Please try again.": (
        "Der Dienst ist zurzeit nicht verfügbar. Bitte noch einmal versuchen."
    ),
    "There are too many connections. Please try again.": (
        "Es gibt zu viele Verbindungen. Bitte noch einmal versuchen."
    ),
    "Access tokens cannot be verified at the moment.": (
        "Access-Tokens lassen sich zurzeit nicht prüfen."
    ),
    "Not ready.": "Nicht bereit.",
    "The service gave no answer in time.": "Der Dienst antwortete nicht rechtzeitig.",
    "The request came through this gateway before.": (
        "Die Anfrage kam schon einmal durch dieses Gateway."
    ),
    "The service cannot do this at the moment. Please try again.": (
        "Der Dienst kann das zurzeit nicht. Bitte noch einmal versuchen."
    ),
    # Tokens and sessions
    "No token provided!": "Kein Token mitgesendet!",
    "Unauthorized!": "Nicht berechtigt!",
    "Require {role} Role!": "Dafür braucht es die Rolle {role}!",
    "The access token must be given once, in one header.": (
        "Das Access-Token muss genau einmal in einem Header stehen."
    ),
    "Invalid username or password!": "Benutzername oder Passwort ist falsch!",
    "Refresh Token is required!": "Es fehlt das Refresh-Token!",
    "Refresh token is not in database!": "Dieses Refresh-Token gibt es nicht!",
    "Refresh token was expired. Please make a new signin request": (
        "Das Refresh-Token ist abgelaufen. Bitte neu anmelden."
    ),
    "Cookies are for pages of this site, and localhost is another than 127.0.0.1.": (
        "Cookies gelten nur für Seiten dieser Website, und localhost ist eine andere"
        " als 127.0.0.1."
    ),
    "There is no such session.": "Diese Sitzung gibt es nicht.",
    "Only access tokens and refresh tokens can be revoked.": (
        "Nur Access- und Refresh-Tokens können widerrufen werden."
    ),
    "This is for clients that authenticate.": (
        "Das ist für Clients, die sich ausweisen."
    ),
    "The client authenticates in more than one way.": (
        "Der Client weist sich auf mehr als eine Art aus."
    ),
    "The header and the body name different clients.": (
        "Header und Rumpf nennen verschiedene Clients."
    ),
    "Only the present status list can be had, not one of another time.": (
        "Es gibt nur die heutige Statusliste, keine von einem anderen Zeitpunkt."
    ),
    "Too many attempts. Please try again in {wait}.": (
        "Zu viele Versuche. Bitte in {wait} noch einmal versuchen."
    ),
    "Too many people sign in at the moment. Please try again in {wait}.": (
        "Zurzeit melden sich zu viele an. Bitte in {wait} noch einmal versuchen."
    ),
    "That is not right. Please try again.": (
        "Das stimmt nicht. Bitte noch einmal versuchen."
    ),
    "Please prove again who you are.": "Bitte noch einmal ausweisen.",
    # Users and roles
    "Failed! Username is already in use!": "Der Benutzername ist schon vergeben!",
    "Failed! Email is already in use!": "Die E-Mail-Adresse ist schon vergeben!",
    "Failed! Role does not exist = {name}": "Diese Rolle gibt es nicht: {name}",
    "Failed! Role may not be self-assigned = {name}": (
        "Diese Rolle kann sich niemand selbst geben: {name}"
    ),
    "This is not your present password.": "Das ist nicht Ihr jetziges Passwort.",
    "There is no such account.": "Dieses Konto gibt es nicht.",
    "This is the last administrator: appoint another one first.": (
        "Das ist das letzte Konto mit Verwaltungsrechten: erst ein anderes ernennen."
    ),
    "There is no role of this name.": "Es gibt keine Rolle mit diesem Namen.",
    "There is a role of this name already.": (
        "Es gibt schon eine Rolle mit diesem Namen."
    ),
    "Users have this role: take it from them first.": (
        "Konten haben diese Rolle: erst muss sie ihnen genommen werden."
    ),
    "This role cannot be removed: identity or one of its settings names it.": (
        "Diese Rolle bleibt: identity oder eine Einstellung nennt sie."
    ),
    "There are {most} roles, and there may be no more: remove one first.": (
        "Es gibt {most} Rollen, und mehr dürfen es nicht sein: erst eine entfernen."
    ),
    # Fields
    "{errors}": "{errors}",
    "The user name": "Der Benutzername",
    "The e-mail address": "Die E-Mail-Adresse",
    "The password": "Das Passwort",
    "The present password": "Das jetzige Passwort",
    "The new password": "Das neue Passwort",
    "The parameter {name}": "Der Parameter {name}",
    "The parameter token is missing.": "Der Parameter token fehlt.",
    "{name} is required.": "{name} fehlt.",
    "{name} is not valid.": "{name} ist nicht gültig.",
    "{name} is unknown here.": "{name} ist hier unbekannt.",
    "{name} is given more than once.": "{name} steht mehr als einmal da.",
    "{name} must be text.": "{name} muss ein Text sein.",
    "{name} must be true or false.": "{name} muss true oder false sein.",
    "{name} must be a list of texts.": "{name} muss eine Liste von Texten sein.",
    "{name} must be a whole number.": "{name} muss eine ganze Zahl sein.",
    "{name} must be at least {minimum}.": "{name} muss mindestens {minimum} sein.",
    "{name} must be at most {maximum}.": "{name} darf höchstens {maximum} sein.",
    "{name} must be one short text.": "{name} muss ein kurzer Text sein.",
    "{name} must be a moment, such as 2026-01-31T12:00:00Z.": (
        "{name} muss ein Zeitpunkt sein, etwa 2026-01-31T12:00:00Z."
    ),
    "{name} has at most {maximum} characters.": (
        "{name} hat höchstens {maximum} Zeichen."
    ),
    "{name} has at most {maximum} entries.": "{name} hat höchstens {maximum} Einträge.",
    "There is no member {field} here.": "Ein Feld {field} gibt es hier nicht.",
    "A user name is required.": "Der Benutzername fehlt.",
    "A user name has at most {maximum} characters.": (
        "Ein Benutzername hat höchstens {maximum} Zeichen."
    ),
    "A user name has letters, digits, ASCII punctuation and single spaces between"
    " them; this one has the character {character}.": (
        "Ein Benutzername hat Buchstaben, Ziffern, ASCII-Satzzeichen und dazwischen"
        " einzelne Leerzeichen; dieser hat das Zeichen {character}."
    ),
    "A user name has single spaces, and only between its other characters.": (
        "Ein Benutzername hat einzelne Leerzeichen, und nur zwischen anderen Zeichen."
    ),
    "A user name has letters or digits that show by themselves.": (
        "Ein Benutzername hat Buchstaben oder Ziffern, die man sieht."
    ),
    "An e-mail address is required.": "Die E-Mail-Adresse fehlt.",
    "An e-mail address has at most {maximum} characters.": (
        "Eine E-Mail-Adresse hat höchstens {maximum} Zeichen."
    ),
    "This is no e-mail address.": "Das ist keine E-Mail-Adresse.",
    "A password has at most {maximum} characters.": (
        "Ein Passwort hat höchstens {maximum} Zeichen."
    ),
    "A password has at least {minimum} characters.": (
        "Ein Passwort hat mindestens {minimum} Zeichen."
    ),
    "A password has no control characters.": "Ein Passwort hat keine Steuerzeichen.",
    "Many people use this password: choose another.": (
        "Dieses Passwort benutzen viele: bitte ein anderes wählen."
    ),
    "This is your present password: choose another.": (
        "Das ist Ihr jetziges Passwort: bitte ein anderes wählen."
    ),
    "This password is known from a leak: choose another.": (
        "Dieses Passwort ist aus einem Datenleck bekannt: bitte ein anderes wählen."
    ),
    "This password is too close to the user name, the e-mail address or the name of"
    " this service.": (
        "Dieses Passwort ähnelt zu sehr dem Benutzernamen, der E-Mail-Adresse oder dem"
        " Namen dieses Dienstes."
    ),
    "A description is one line of {minimum} to {maximum} characters.": (
        "Eine Beschreibung ist eine Zeile von {minimum} bis {maximum} Zeichen."
    ),
    "A role's name is {minimum} to {maximum} of a-z, 0-9, - and _, and begins with a"
    " letter.": (
        "Der Name einer Rolle besteht aus {minimum} bis {maximum} Zeichen von a-z, 0-9,"
        " - und _ und beginnt mit einem Buchstaben."
    ),
    "A parameter is given more than once.": "Ein Parameter steht mehr als einmal da.",
    # What was done
    "User registered successfully!": "Das Konto ist angelegt!",
    "You've been signed out!": "Sie sind abgemeldet!",
    "Identity confirmed.": "Identität bestätigt.",
    "If this address has an account, a mail is on its way.": (
        "Wenn diese Adresse ein Konto hat, ist eine Mail unterwegs."
    ),
    "A mail is on its way.": "Eine Mail ist unterwegs.",
    "This link or code is not valid any more. Please ask for a new one.": (
        "Dieser Link oder Code gilt nicht mehr. Bitte einen neuen anfordern."
    ),
    "A new e-mail address has to be confirmed first.": (
        "Eine neue E-Mail-Adresse muss erst bestätigt werden."
    ),
    "A user name cannot be somebody else's e-mail address.": (
        "Die E-Mail-Adresse anderer kann kein Benutzername sein."
    ),
    "E-mail address confirmed.": "Die E-Mail-Adresse ist bestätigt.",
    "E-mail address changed.": "Die E-Mail-Adresse ist geändert.",
    "The old e-mail address is back. A mail to choose a new password is on its way.": (
        "Die alte E-Mail-Adresse gilt wieder. Eine Mail, um ein neues Passwort zu"
        " wählen, ist unterwegs."
    ),
    "Nobody is signed in any more. A mail to choose a new password is on its way.": (
        "Niemand ist mehr angemeldet. Eine Mail, um ein neues Passwort zu wählen, ist"
        " unterwegs."
    ),
    "Your account will be deleted. To keep it, sign in before that.": (
        "Ihr Konto wird gelöscht. Um es zu behalten, melden Sie sich vorher an."
    ),
    "This is not offered here.": "Das gibt es hier nicht.",
    "Password changed.": "Das Passwort ist geändert.",
    "Account deleted.": "Das Konto ist gelöscht.",
    "Role removed.": "Die Rolle ist entfernt.",
    "The chain is being followed. Please ask again.": (
        "Der Kette wird noch nachgegangen. Bitte fragen Sie noch einmal."
    ),
    "Session ended.": "Die Sitzung ist beendet.",
    "Sessions ended.": "Die Sitzungen sind beendet.",
    "Other sessions ended.": "Die anderen Sitzungen sind beendet.",
    # Pages of problems
    "Skip to the content": "Zum Inhalt springen",
    "Pages": "Seiten",
    "Console": "Konsole",
    "API reference": "API-Referenz",
    "Problems": "Probleme",
    "Code": "Code",
    "Status": "Status",
    "Message": "Meldung",
    "What happened": "Was ist passiert",
    "Why": "Warum",
    "What to do": "Was tun",
    # Second factors
    "This account signs in with a second factor. Enter its code, or use a passkey.": (
        "Dieses Konto hat einen zweiten Faktor. Bitte dessen Code eingeben oder einen"
        " Passkey verwenden."
    ),
    "There is no such second factor.": "Diesen zweiten Faktor gibt es nicht.",
    "There is an authenticator app already: remove it first.": (
        "Es gibt schon eine Authenticator-App: Bitte erst diese entfernen."
    ),
    "There are {most} passkeys, and there may be no more: remove one first.": (
        "Es gibt {most} Passkeys, und mehr dürfen es nicht sein: Bitte erst einen"
        " entfernen."
    ),
    "Give a code, or what a passkey signed.": (
        "Es fehlt ein Code oder das, was ein Passkey unterschrieben hat."
    ),
    "Give the password, a code, or what a passkey signed: one of them.": (
        "Geben Sie eines an: das Passwort, einen Code oder das, was ein Passkey"
        " unterschrieben hat."
    ),
    "Authenticator app removed.": "Authenticator-App entfernt.",
    "Passkey removed.": "Passkey entfernt.",
}
