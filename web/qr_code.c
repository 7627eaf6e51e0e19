#include "web/qr_code.h"

#include <qrencode.h>

#include "base/json.h"
#include "base/text.h"

enum { MARGIN = 4 }; /* squares, ISO/IEC 18004 section 5.3.8 */

/* The dark squares of a row, those side by side as one. */
static void add_row(const QRcode *code, int row, struct text *path)
{
    const unsigned char *squares = code->data + row * code->width;
    for (int from = 0, to; from < code->width; from = to) {
        bool dark = squares[from] & 1;
        for (to = from + 1; to < code->width && (squares[to] & 1) == dark;)
            to++;
        if (dark)
            text_addf(path, "M%d %dh%dv1h-%dz", from + MARGIN, row + MARGIN, to - from, to - from);
    }
}

struct json_object *qr_code(const char *text)
{
    freed_by(text_free) struct text path = {0};
    QRcode *code = QRcode_encodeString8bit(text, 0, QR_ECLEVEL_M);
    if (code == NULL)
        return NULL;
    struct json_object *view = json_object_new_object();
    json_add_int(view, "size", code->width + 2 * MARGIN);
    for (int row = 0; row < code->width; row++)
        add_row(code, row, &path);
    json_add_string(view, "path", text_string(&path));
    QRcode_free(code);
    return view;
}
