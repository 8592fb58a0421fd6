/* The kernel of products_avxvnni.c with the AVX-512 encoding of VPDPBUSD, to test it on processors without AVX-VNNI. */
#define products_avxvnni products_avxvnni_evex
#include "../src/products_avxvnni.c"
