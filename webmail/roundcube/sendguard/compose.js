/**
 * Tells while a message is being written what its refusal would say: asks the guard about the
 * recipients as they are typed, and shows the answer at the fields. Without an answer it shows nothing.
 *
 * @licstart  The following is the entire license notice for the JavaScript code in this page.
 * SPDX-License-Identifier: GPL-3.0-or-later
 * @licend
 */
window.rcmail && rcmail.addEventListener('init', function () {
    var QUIET_MS = 500;     // nobody types for so long before a question
    var TIMEOUT_MS = 4000;
    var STALE_MS = 30000;   // who comes back to the window later than that is told anew
    var SHOWN = 2;          // hints of a field in words; the others are counted
    var FIELDS = ['to', 'cc', 'bcc'];

    var headers = $('#compose-headers, #compose-div').first();
    var form = {from: $('[name="_from"]')};
    FIELDS.forEach(function (name) { form[name] = $('[name="_' + name + '"]'); });
    if (!headers.length || !form.to.length) {
        return;
    }

    var asked = null;       // the values of the last question
    var askedAt = 0;
    var timer = null;
    var waiting = false;    // for an answer
    var said = [];          // keys of the hints that were read out
    var places = {};
    var voice = $('<div>').attr({'class': 'voice', role: 'status', 'aria-live': 'polite'}).appendTo(headers);

    // Below the row of its field. That of To always has its line, so that what comes moves nothing.
    ['from'].concat(FIELDS).forEach(function (name) {
        var row = form[name].closest('.form-group, tr');
        var column = row.find('.col-10').first();
        places[name] = $('<div>').attr({id: 'sendguard-hint-' + name, 'class': 'sendguard-hint'})
            .appendTo(column.length ? column : row.find('td').last());
    });
    places.to.addClass('sendguard-hint-always');

    function values() {
        var now = {};
        Object.keys(form).forEach(function (name) { now['_' + name] = String(form[name].val() || ''); });
        return now;
    }

    function ask(more) {
        var question = values();
        clearTimeout(timer);
        if (waiting) {
            return; // it is asked about when the answer is there
        }
        asked = JSON.stringify(question);
        askedAt = Date.now();
        waiting = true;
        $.ajax({
            type: 'POST', url: rcmail.url('plugin.sendguard_hints'), dataType: 'json', timeout: TIMEOUT_MS,
            data: $.extend({_remote: 1, _token: rcmail.env.request_token}, question, more),
            error: function () { show([]); },
            success: function (response) {
                var mine = (response && response.callbacks || []).filter(function (one) {
                    return one[0] === 'plugin.sendguard_hints';
                });
                var answer = mine.length ? mine[0][1] : {hints: []};
                show(answer.hints);
                markIdentities(answer.refused || []);
            },
            complete: function () {
                waiting = false;
                changed();
            }
        });
    }

    function changed() {
        if (JSON.stringify(values()) !== asked) {
            clearTimeout(timer);
            timer = setTimeout(ask, QUIET_MS);
        }
    }

    // The list stays whole: a sender that was chosen before is not changed behind the user's back.
    function markIdentities(refused) {
        form.from.find('option').each(function () {
            var mark = ' ' + rcmail.get_label('sendguard.fromrefused');
            if (refused.indexOf(this.value) >= 0 && this.text.slice(-mark.length) !== mark) {
                this.text += mark;
            }
        });
    }

    function show(hints) {
        var whole = hints.filter(function (hint) { return !hint.field; });
        // Who writes below does not see the text move; the whole hint is there when they come back.
        var below = $(document.activeElement).closest('#composebodycontainer, #compose_subject').length
            || $(document.activeElement).is('iframe');
        Object.keys(places).forEach(function (name) {
            var own = hints.filter(function (hint) { return hint.field === name; });
            fill(name, own, name === 'to' ? whole : []);
            places[name].toggleClass('sendguard-hint-cut', below);
        });
        markRecipients(hints);
        say(hints);
    }

    function fill(name, own, whole) {
        var place = places[name];
        var lines = own.slice(0, SHOWN).map(function (hint) {
            return $('<span>').addClass('sendguard-hint-wrong').text(hint.text)[0];
        });
        if (own.length > SHOWN) {
            lines.push($('<span>').addClass('sendguard-hint-wrong')
                .text(rcmail.get_label('sendguard.hintsmore').replace('$n', own.length - SHOWN))[0]);
        }
        whole.forEach(function (hint) { lines.push($('<span>').text(hint.text)[0]); });
        if (place.text() !== $(lines).text()) {
            place.empty().append(lines);
        }
        control(name).toggleClass('sendguard-wrong', own.length > 0).find('input').addBack('input, select, textarea')
            .attr({'aria-invalid': own.length ? 'true' : null, 'aria-describedby': lines.length ? place[0].id : null});
    }

    /** What the user sees of a field: the skin's box of recipients, or the field itself. */
    function control(name) {
        var box = form[name].siblings('.recipient-input');
        return box.length ? box : form[name];
    }

    function markRecipients(hints) {
        var wrong = hints.map(function (hint) { return hint.recipient; });
        $('li.recipient', headers).each(function () {
            var text = $(this).text().replace(/[,\s]+$/, '');
            var address = (/<([^<>]*)>$/.exec(text) || [null, text])[1].trim().toLowerCase();
            $(this).toggleClass('sendguard-recipient-wrong', wrong.indexOf(address) >= 0);
        });
    }

    /** Each hint is read out once, and again when it had gone. */
    function say(hints) {
        var fresh = hints.filter(function (hint) { return said.indexOf(hint.key) < 0; });
        said = hints.map(function (hint) { return hint.key; });
        if (fresh.length) {
            voice.text(fresh.slice(0, SHOWN).map(function (hint) { return hint.text; }).join(' '));
        } else if (!hints.length) {
            voice.text('');
        }
    }

    headers.on('input change keyup paste focusout click', changed);
    headers.on('focusin', function () { headers.find('.sendguard-hint').removeClass('sendguard-hint-cut'); });
    // What is dropped, inserted or removed by other means changes the lists.
    new MutationObserver(changed).observe(headers[0], {childList: true, subtree: true});
    // A pause may have begun or ended meanwhile.
    $(window).on('focus', function () {
        if (Date.now() - askedAt > STALE_MS) {
            ask();
        }
    });
    ask({_identities: 1});
});
