/**
 * Messages that wait to be sent, and such as are split: the buttons of a refusal, and the box above
 * the list of drafts.
 *
 * @licstart  The following is the entire license notice for the JavaScript code in this page.
 * SPDX-License-Identifier: GPL-3.0-or-later
 * @licend
 */
window.rcmail && rcmail.addEventListener('init', function () {
    var main = rcmail.is_framed() ? parent.rcmail : rcmail;

    /** Sends the compose window's form once more, with what is to be done if it is refused again. */
    rcmail.sendguard_again = function (what) {
        if (rcmail.busy) { // a copy is on its way to the drafts
            setTimeout(function () { rcmail.sendguard_again(what); }, 50);
            return;
        }
        var field = $('<input type="hidden" name="_sendguard">').val(what).appendTo(rcmail.gui_objects.messageform);
        rcmail.command('send', {nocheck: true});
        field.remove();
    };

    function in_drafts() {
        return rcmail.env.task === 'mail' && !rcmail.env.action && rcmail.env.drafts_mailbox
            && rcmail.env.mailbox === rcmail.env.drafts_mailbox;
    }

    var pressed = false; // Roundcube takes the focus from a button that is pressed
    var asked = 0;       // the number of the last question
    var known = 0;       // what is shown is not older than that question
    var removals = {};   // the questions that take one off the list

    function ask(words) {
        rcmail.http_post('plugin.sendguard_parked', words || {});
    }

    // Every question has a number, also that of a refresh.
    ['plugin.sendguard_parked', 'refresh'].forEach(function (action) {
        rcmail.addEventListener('request' + action, function (question) {
            asked += 1;
            question._number = asked;
            removals[asked] = Boolean(question._cancel);
        });
    });

    // parked: html of the box (escaped by the plugin), drafts: they have changed, number: of the question
    rcmail.addEventListener('plugin.sendguard_parked', function (parked) {
        if (parked.number > known) {
            // What was asked before one is off the list may still have it.
            known = removals[parked.number] ? asked : parked.number;
            show(parked.html);
        } else if (removals[parked.number]) {
            ask();
        }
        if (parked.drafts && in_drafts()) {
            main.command('checkmail');
        }
    });

    function show(html) {
        var box = $('#sendguard-parked');
        var held = pressed || (box.length && box[0].contains(document.activeElement));
        pressed = false;
        box.remove();
        if (in_drafts() && html) {
            box = $('<section id="sendguard-parked" aria-labelledby="sendguard-parked-title" tabindex="-1">').html(html)
                .on('focusin', function () { rcmail.message_list.blur(); }) // or it takes the keys
                .insertBefore('#messagelist-content');
            if (held) {
                box.focus();
            }
        } else if (held) {
            $('#messagelist').focus();
        }
    }

    $(document).on('click', '.sendguard-unpark', function () {
        pressed = true;
        ask({_cancel: $(this).attr('data-id')});
    });
    rcmail.addEventListener('listupdate', function () {
        if (in_drafts()) {
            ask();
        } else {
            $('#sendguard-parked').remove();
        }
    });
    if (rcmail.env.sendguard_parked_due && !in_drafts()) {
        ask();
    }
    if (rcmail.env.sendguard_parked_note) {
        $('<div class="boxinformation ui alert alert-info" role="status" id="sendguard-parked-note">').text(rcmail.env.sendguard_parked_note)
            .insertBefore('#compose-content > form');
    }
});
