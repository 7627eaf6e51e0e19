#include "base/percent.h"

int percent_digit(char character)
{
    if (character >= '0' && character <= '9')
        return character - '0';
    if (character >= 'a' && character <= 'f')
        return character - 'a' + 10;
    return character >= 'A' && character <= 'F' ? character - 'A' + 10 : -1;
}

bool percent_decode(const char *text, size_t length, char *decoded_r)
{
    char *end = decoded_r;
    for (size_t i = 0; i < length; i++) {
        char byte = text[i];
        if (byte == '%') {
            int high = i + 1 < length ? percent_digit(text[i + 1]) : -1;
            int low = i + 2 < length ? percent_digit(text[i + 2]) : -1;
            if (high < 0 || low < 0)
                return false;
            byte = (char)(high << 4 | low);
            i += 2;
        }
        if (byte == '\0')
            return false;
        *end++ = byte;
    }
    *end = '\0';
    return true;
}
