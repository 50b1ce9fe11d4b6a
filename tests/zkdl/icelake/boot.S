# Boot sector: loads SECTORS sectors to 0x10000, turns on 64-bit mode and AVX-512, and calls what it loaded.
.code16
.globl _start
_start:
  cli
  xorw %ax, %ax
  movw %ax, %ds
  movw %ax, %es
  movw %ax, %ss
  movw $0x7c00, %sp
  movb %dl, drive
  inb $0x92, %al              # address line 20
  orb $2, %al
  outb %al, $0x92
  movw $(SECTORS), %cx        # in pieces of 64 sectors, 32 KB
  shrw $6, %cx
  incw %cx
load:
  pushw %cx
  movb $0x42, %ah
  movb drive, %dl
  movw $packet, %si
  int $0x13
  jc failed
  addw $0x800, packet + 6
  addl $64, packet + 8
  popw %cx
  loop load
  movw $0x1000, %di           # page tables at 0x1000: the first gigabyte onto itself, 2 MB pages
  xorl %eax, %eax
  movw $0xc00, %cx
  cld
  rep stosl
  movl $0x2003, 0x1000
  movl $0x3003, 0x2000
  movw $0x3000, %di
  movl $0x83, %eax
  movw $512, %cx
page:
  movl %eax, (%di)
  addl $0x200000, %eax
  addw $8, %di
  loop page
  movl $0x40620, %eax         # CR4: PAE, OSFXSR, OSXMMEXCPT, OSXSAVE
  movl %eax, %cr4
  movl $0x1000, %eax
  movl %eax, %cr3
  movl $0xc0000080, %ecx      # EFER: long mode
  rdmsr
  orl $0x100, %eax
  wrmsr
  movl $0x80000003, %eax      # CR0: paging, FPU monitored, protected mode
  movl %eax, %cr0
  lgdt table
  ljmp $8, $long_mode
failed:
  movb $'F', %al
  outb %al, $0xe9
  hlt
.code64
long_mode:
  movw $16, %ax
  movw %ax, %ds
  movw %ax, %es
  movw %ax, %ss
  movl $0x3000000, %esp
  xorl %ecx, %ecx             # XCR0: x87, SSE, AVX, AVX-512
  xorl %edx, %edx
  movl $0xe7, %eax
  xsetbv
  movl $0x10000, %eax
  call *%rax
  hlt
.align 8
segments:
  .quad 0, 0x00af9a000000ffff, 0x00cf92000000ffff
table:
  .word 23
  .long segments
packet:                       # disk address packet: size, sectors, offset, segment, first sector
  .byte 16, 0
  .word 64, 0, 0x1000
  .quad 1
drive:
  .byte 0
.org 510
.word 0xaa55
