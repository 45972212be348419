/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The real-time clock and CMOS memory (Motorola MC146818A data sheet), ports 0x70 and 0x71, irq 8.
 */
#ifndef VMMCTL_DEV_RTC_H
#define VMMCTL_DEV_RTC_H

#include "../vmmctl.h"

struct loop;
struct rtc;

/* where the century is; the FADT tells the guest */
#define RTC_CENTURY	0x32

struct rtc *rtc_create(struct vm *vm, struct loop *loop);	/* NULL with errno set */
void rtc_free(struct rtc *rtc);

#endif /* VMMCTL_DEV_RTC_H */
