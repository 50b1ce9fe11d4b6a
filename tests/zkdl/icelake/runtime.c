/* What a kernel finds around it on the bare machine: output, memory, numba's reference counts. */
typedef unsigned long word;

static inline void out(unsigned short port, unsigned char byte) {
    __asm__ volatile("outb %0, %1" : : "a"(byte), "Nd"(port));
}

void print_words(const word *from, long n) {
    for (long i = 0; i < n; i++) {
        for (int shift = 60; shift >= 0; shift -= 4) out(0xe9, "0123456789abcdef"[(from[i] >> shift) & 15]);
        out(0xe9, '\n');
    }
}

void shut_down(void) {
    for (const char *s = "Shutdown"; *s; s++) out(0x8900, *s);
    for (;;) {
    }
}

void *memset(void *to, int byte, word n) {
    for (word i = 0; i < n; i++) ((volatile char *)to)[i] = (char)byte;
    return to;
}

void *memcpy(void *to, const void *from, word n) {
    for (word i = 0; i < n; i++) ((volatile char *)to)[i] = ((const char *)from)[i];
    return to;
}

/* The start of numba's MemInfo. Nothing is ever freed: 16 MB from 32 MB on are enough for one call. */
struct meminfo {
    word count;
    void *destructor, *destructor_info, *data;
    word size;
    void *allocator;
};

struct meminfo *NRT_MemInfo_alloc_aligned(word size, unsigned align) {
    static word next = 32 << 20;
    struct meminfo *info = (struct meminfo *)next;
    next = (next + sizeof *info + align - 1) / align * align;
    *info = (struct meminfo){1, 0, 0, (void *)next, size, 0};
    next = (next + size + 63) / 64 * 64;
    return info;
}

struct meminfo *NRT_MemInfo_alloc_safe_aligned(word size, unsigned align) {
    return NRT_MemInfo_alloc_aligned(size, align);
}

void NRT_MemInfo_call_dtor(struct meminfo *info) {
    (void)info;
}
