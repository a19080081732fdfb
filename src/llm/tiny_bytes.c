/* tiny_bytes.c: the file of the built-in model as bytes of the library, read only.  The assembler takes them as they
   are, which costs nothing; the name of the file comes from the build (local.mk). */
#include "llm/tiny.h"
#include "llm/tiny_file.inc"
#include <stdint.h>

#if SIZE_MAX > 0xffffffff
#define WORD ".quad"
#else
#define WORD ".long"
#endif

__asm__(".pushsection .rodata\n"
        ".balign 64\n"
        ".globl lm_tiny_bytes\n"
        ".hidden lm_tiny_bytes\n"
        ".type lm_tiny_bytes, %object\n"
        "lm_tiny_bytes:\n"
        ".incbin \"" LM_TINY_FILE "\"\n"
        ".Llm_tiny_end:\n"
        ".size lm_tiny_bytes, .Llm_tiny_end - lm_tiny_bytes\n"
        ".balign 8\n"
        ".globl lm_tiny_size\n"
        ".hidden lm_tiny_size\n"
        ".type lm_tiny_size, %object\n"
        "lm_tiny_size:\n"
        WORD " .Llm_tiny_end - lm_tiny_bytes\n"
        ".size lm_tiny_size, 8\n"
        ".popsection\n");
