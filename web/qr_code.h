/* A text as a QR code, which the camera of a telephone reads. */
#ifndef SENDGUARD_QR_CODE_H
#define SENDGUARD_QR_CODE_H

struct json_object;

/* {"size":41,"path":"M4 4h7v1h-7z…"}: the path of an SVG, one unit a square, and how many a side has
 * with its margin; to be put. NULL: the text is too long for one (some 2,300 bytes). */
struct json_object *qr_code(const char *text);

#endif
