#include "lib/base/build.h"

#include "lib/base/hex.h"
#include "lib/base/mem.h"

#include <elf.h>
#include <link.h>
#include <pthread.h>
#include <string.h>

static char id[64] = GT_VERSION "+";

static void look(const char *p, size_t n)
{
    while (n >= sizeof(ElfW(Nhdr))) {
        ElfW(Nhdr) h;
        memcpy(&h, p, sizeof h);
        size_t name = (h.n_namesz + 3u) & ~3u, desc = (h.n_descsz + 3u) & ~3u;
        if (sizeof h + name + desc > n) {
            return;
        }
        if (h.n_type == NT_GNU_BUILD_ID && h.n_namesz == 4) {
            size_t used = strlen(id);
            gt_hex_encode(p + sizeof h + name, GT_MIN(h.n_descsz, (sizeof id - 1 - used) / 2),
                          id + used);
            return;
        }
        p += sizeof h + name + desc;
        n -= sizeof h + name + desc;
    }
}

static int on_object(struct dl_phdr_info *info, size_t size, void *arg)
{
    for (size_t i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *h = &info->dlpi_phdr[i];
        if (h->p_type == PT_NOTE) {
            look((const char *)(info->dlpi_addr + h->p_vaddr), h->p_memsz); // NOLINT
        }
    }
    return 1; /* the first is the program itself */
}

static void find(void)
{
    dl_iterate_phdr(on_object, NULL);
}

const char *gt_build(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, find);
    return id;
}
