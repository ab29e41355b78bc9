/* The page's parts, from their files; each ends with a NUL. */
#define EMBED(name, file)                                           \
	__asm__(".section .rodata\n.global " #name "\n" #name ":\n" \
		".incbin \"" LEV_PAGE_DIR "/" file "\"\n.byte 0\n.previous\n")

EMBED(page_html, "page.html");
EMBED(page_script, "uPlot.iife.min.js");
EMBED(page_style, "uPlot.min.css");
