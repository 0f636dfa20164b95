// Reads an iCalendar text on standard input with ical.js; prints what it says as JSON.

"use strict";

const ICAL = require("ical.js");

const calendar = new ICAL.Component(ICAL.parse(require("fs").readFileSync(0, "utf-8")));
for (const zone of calendar.getAllSubcomponents("vtimezone")) ICAL.TimezoneService.register(zone);
const event = new ICAL.Event(calendar.getFirstSubcomponent("vevent"));
const person = (property) => ({
    address: property.getFirstValue(), name: property.getParameter("cn"), status: property.getParameter("partstat"),
    rsvp: property.getParameter("rsvp"),
});
console.log(JSON.stringify({
    method: calendar.getFirstPropertyValue("method"),
    start: event.startDate.toJSDate().toISOString(), end: event.endDate.toJSDate().toISOString(),
    zone: event.startDate.zone.tzid, isDay: event.startDate.isDate,
    summary: event.summary, description: event.description, location: event.location, uid: event.uid,
    sequence: event.sequence, status: event.component.getFirstPropertyValue("status"),
    url: event.component.getFirstPropertyValue("url"),
    organizer: person(event.component.getFirstProperty("organizer")), attendees: event.attendees.map(person),
}));
