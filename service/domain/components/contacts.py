"""Contacts: by which channels they can be addressed, and by which they consented to be (REPORTS section 3, reach).

Contacts that were merged are one person. Of addresses only that there are some is kept, so that nothing of them is left to erase.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator

from service.domain.calendar import Zone
from service.domain.catalogue import CATALOGUE
from service.domain.components.entities import Entity, Merging
from service.domain.components.kind import Kind
from service.domain.facts import Fact, Merges, Rule

_CONTACT = (("contact_id", "contact"),)
BY_PHONE = ("phone", "sms", "whatsapp")


RULES = {
    "subject.erased": Rule((("subject_id", "contact"),)),
    "contact.registered": Rule(_CONTACT, ("emails", "phones", "handles"), CATALOGUE["contact.registered"].sealed),
    "contact.consent_changed": Rule(_CONTACT, ("channel", "granted")),
    "contact.merged": Rule((("survivor_id", "contact"), ("merged_id", "contact"))),
}


class Consent(Entity):
    """A consent that was granted or withdrawn; `changes` tells whether it was the other before: nobody has consented at first."""

    kind = "consent"
    changes = False

    def __init__(self, fact: Fact) -> None:
        self.fact = fact
        self.name = f"contact:{fact.data['contact_id']}"

    @property
    def granted(self) -> bool:
        """Whether the contact consents from then on."""
        return bool(self.fact.data["granted"])


class Person(Entity):
    """A contact, or several that were merged: whether registered or erased, its addresses, and its consents by channel."""

    kind = "person"
    registered = False
    erased = False
    emails = False
    phones = False
    handles: Iterable[str] = ()

    def __init__(self, identity: str) -> None:
        super().__init__(identity)
        self.name = f"contact:{identity}"
        self.consents: dict[str, list[Consent]] = {}  # in event order

    @property
    def counts(self) -> bool:
        """Whether it is anybody."""
        return self.registered and not self.erased

    @property
    def addressable(self) -> set[str]:
        """The channels that it has an address for."""
        own = {one for one in self.handles if one not in (*BY_PHONE, "email")}
        return own | ({"email"} if self.emails else set()) | ({*BY_PHONE} if self.phones else set())

    @property
    def consented(self) -> set[str]:
        """The channels that it consented to last."""
        return {channel for channel, consents in self.consents.items() if consents[-1].granted}


class Contacts:
    """The fold of a component of contacts that were merged."""

    def __init__(self, _: Zone) -> None:
        self.touched: dict[Entity, None] = {}
        self._merges = Merges()
        self._persons: dict[str, Person] = {}
        self._merged: list[Merging] = []

    def contributing(self) -> Iterator[Entity]:
        """Return everything that may contribute."""
        yield from self._merged
        for person in self._persons.values():
            yield person
            for consents in person.consents.values():
                yield from consents

    def touch_all(self) -> None:
        """Do nothing: no rate matters here."""

    def take(self, fact: Fact) -> None:
        """Take in one live fact."""
        if fact.type == "contact.merged":
            self._merge(fact)
            return
        name = self._merges.name(fact.data["subject_id" if fact.type == "subject.erased" else "contact_id"])
        person = self._persons.get(name)
        if person is None:
            person = self._persons[name] = Person(name)
        self.touched[person] = None
        if fact.type == "subject.erased":
            person.erased = True
        elif fact.type == "contact.consent_changed":
            self._consent(person, Consent(fact))
        else:
            person.registered = True
            for field in ("emails", "phones", "handles"):
                if field in fact.data:
                    person.state(field, fact.data[field], fact)

    def _consent(self, person: Person, consent: Consent) -> None:
        """Put a consent in its place; what comes next sees another one before it."""
        consents = person.consents.setdefault(consent.fact.data["channel"], [])
        place = bisect_left(consents, consent.fact[:4], key=lambda one: one.fact[:4])
        consents.insert(place, consent)
        for at in range(place, min(place + 2, len(consents))):
            consents[at].changes = consents[at].granted != (at > 0 and consents[at - 1].granted)
            self.touched[consents[at]] = None

    def _merge(self, fact: Fact) -> None:
        """Make one person of two: the one with fewer consents joins the other."""
        pair = (fact.data["survivor_id"], fact.data["merged_id"])
        classes = dict.fromkeys(map(self._merges.name, pair))
        self._merges.take(fact)
        self._merged.append(Merging(fact))
        self.touched[self._merged[-1]] = None
        found = [person for one in classes if (person := self._persons.pop(one, None))]
        found.sort(key=lambda person: -sum(map(len, person.consents.values())))
        self.touched.update(dict.fromkeys(found))
        if not found:
            return
        person = self._persons[self._merges.name(pair[0])] = Person(self._merges.name(pair[0]))
        person.consents = found[0].consents
        for one in found:
            person.registered, person.erased = person.registered or one.registered, person.erased or one.erased
            for attribute, stated in one.stated.items():
                person.state(attribute, getattr(one, attribute), stated)
        for consents in (*found[1].consents.values(),) if len(found) > 1 else ():
            for consent in consents:
                self._consent(person, consent)
        for one in found:
            one.registered, one.consents = False, {}
        self.touched[person] = None

    def withdraw(self, _: Fact, __: Iterable[Fact]) -> bool:
        """Have it folded anew: what is left may have been stated before."""
        return False


KIND = Kind("contact", RULES, Contacts)
