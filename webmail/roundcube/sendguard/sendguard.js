/**
 * Shows why a message was not sent, in a dialog that stays until it is closed.
 *
 * @licstart  The following is the entire license notice for the JavaScript code in this page.
 * SPDX-License-Identifier: GPL-3.0-or-later
 * @licend
 */
window.rcmail && rcmail.addEventListener('init', function () {
    // refusal: title and close are text, html comes escaped from the plugin
    function show(refusal) {
        var popup = rcmail.show_popup_dialog(refusal.html, refusal.title, [{
            text: refusal.close,
            'class': 'mainaction',
            click: function () { close(popup[0]); }
        }], {width: 560, resizable: false, closeOnEscape: true});

        popup.dialog('option', 'height', 'auto').parent().attr('role', 'alertdialog')
            // Enter goes back to the message, not to the first link of the text.
            .find('button.mainaction').focus();
    }

    // The dialog may live in the window around this frame, whose jQuery it belongs to.
    function close(popup) {
        popup.jqref(popup).dialog('close');
    }

    rcmail.addEventListener('plugin.sendguard_refused', function (refusal) {
        show(refusal);
        if (refusal.save_draft && rcmail.env.action === 'compose' && rcmail.env.drafts_mailbox) {
            // Drafts go the same way as the send: through this frame, when it has loaded the answer.
            $('iframe[name="savetarget"]').one('load', function () {
                setTimeout(function () { rcmail.command('savedraft'); }, 0);
            });
        }
    });
});
