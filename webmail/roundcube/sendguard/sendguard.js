/**
 * Shows why a message was not sent, in a dialog that stays until it is closed.
 *
 * @licstart  The following is the entire license notice for the JavaScript code in this page.
 * SPDX-License-Identifier: GPL-3.0-or-later
 * @licend
 */
window.rcmail && rcmail.addEventListener('init', function () {
    // Dialogs and Roundcube's short messages are in the window around this frame, if there is one.
    var main = rcmail.is_framed() ? parent.rcmail : rcmail;
    var root = rcmail.is_framed() ? parent.document.documentElement : document.documentElement;

    // What had the focus before a dialog: Roundcube takes it from a button that is pressed, and
    // from the form of a message that is on its way.
    var focused = null;
    document.addEventListener('focusin', function (event) {
        if (!event.target.closest('.ui-dialog')) {
            focused = event.target;
        }
    });

    // refusal: title, close, back and save_draft are text and flags, html comes escaped from the plugin
    function show(refusal) {
        var buttons = [{
            text: refusal.back,
            'class': 'mainaction',
            click: function () { close(popup[0]); }
        }];
        (refusal.again || []).forEach(function (one) {
            buttons.push({
                text: one.text,
                'class': 'sendguard-again',
                click: function () {
                    close(popup[0]);
                    rcmail.sendguard_again(one.what);
                }
            });
        });
        var popup = rcmail.show_popup_dialog(refusal.html, refusal.title, buttons, {width: 560, resizable: false, closeOnEscape: true});
        var dialog = popup.dialog('option', 'height', 'auto').parent();

        dialog.addClass('sendguard-dialog').attr({role: 'alertdialog', 'aria-modal': 'true'})
            // Enter goes back to the message, not to the first link of the text.
            .find('button.mainaction').focus();
        dialog.find('.ui-dialog-titlebar-close').attr({'aria-label': refusal.close, title: refusal.close});
        fitWindow(popup);
        // Opening put the focus, and so what is seen, on the first link of a long text.
        popup.scrollTop(0);
        holdMessages(popup, refusal.title);
        popup.on('dialogclose', function () {
            if (focused && document.activeElement === document.body) {
                focused.focus();
            }
        });
    }

    /**
     * A text that is longer than its window scrolls between title and button
     * (sendguard.css), with keys too; also when a phone is turned meanwhile.
     */
    function fitWindow(popup) {
        var jQuery = popup[0].jqref;
        function fit() {
            popup.dialog('option', 'position', popup.dialog('option', 'position'));
            popup.attr('tabindex', popup[0].scrollHeight > popup[0].clientHeight ? '0' : null);
        }
        fit();
        jQuery(popup[0].ownerDocument.defaultView).on('resize.sendguard', fit);
        popup.on('dialogclose', function () {
            jQuery(popup[0].ownerDocument.defaultView).off('resize.sendguard', fit);
        });
    }

    // The dialog may live in the window around this frame, whose jQuery it belongs to.
    function close(popup) {
        popup.jqref(popup).dialog('close');
    }

    /**
     * On a phone Roundcube's short messages lie over the dialog's button. They
     * wait until it is closed (sendguard.css); what went wrong meanwhile, such as
     * a draft that could not be saved, is read in the dialog. That the message
     * was not sent is its title already.
     */
    function holdMessages(popup, title) {
        function arrived(message) {
            var text = message.object.text();
            if (message.type !== 'error' && message.type !== 'warning') {
                return;
            }
            if (text !== title) {
                popup.children().first().append(popup[0].jqref('<p>').attr('role', 'alert').text(text));
            }
            main.hide_message(message.object);
        }
        root.classList.add('sendguard-refused');
        main.addEventListener('message', arrived);
        popup.on('dialogclose', function () {
            main.removeEventListener('message', arrived);
            root.classList.remove('sendguard-refused');
        });
    }

    // delivery: uid, html (escaped by the plugin), failed (addresses)
    rcmail.addEventListener('plugin.sendguard_delivery', function (delivery) {
        if (String(delivery.uid) !== String(rcmail.env.uid)) {
            return;
        }
        // The skin took the empty place for a box of its own.
        $('#sendguard-delivery').removeClass().html(delivery.html);
        var failed = delivery.failed.map(function (address) { return address.toLowerCase(); });
        $('#message-header .rcmContactAddress, #messageheader .rcmContactAddress').filter(function () {
            return failed.indexOf(String(this.title).toLowerCase()) >= 0;
        }).addClass('sendguard-failed');
    });
    if (rcmail.env.sendguard_delivery) {
        rcmail.http_post('plugin.sendguard_delivery', {_uid: rcmail.env.uid, _mbox: rcmail.env.mailbox});
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
